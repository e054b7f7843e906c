// Times that grow while one looks at them. The exact one stays in the title.

const STEPS = [[60, 1, "s"], [3_600, 60, "min"], [86_400, 3_600, "h"]];
const WEEK_S = 7 * 86_400;

export function waited(iso, now = Date.now()) {
  const passed = Math.max(0, (now - new Date(iso).getTime()) / 1_000);
  const [, unit, name] = STEPS.find(([limit]) => passed < limit) ?? [0, 86_400, "d"];
  return `${Math.floor(passed / unit)} ${name}`;
}

export function ago(iso, now = Date.now()) {
  const passed = (now - new Date(iso).getTime()) / 1_000;
  if (passed < 60) return "just now";
  if (passed < WEEK_S) return `${waited(iso, now)} ago`;
  return new Date(iso).toLocaleDateString(document.documentElement.lang, { day: "numeric", month: "short" });
}

export function tick(root) {
  for (const node of root.querySelectorAll(".row-waits[data-since]")) set(node, waited(node.dataset.since));
  for (const node of root.querySelectorAll(".row-time time")) {
    if (Date.now() - new Date(node.dateTime).getTime() < WEEK_S * 1_000) set(node, waited(node.dateTime));
  }
  for (const node of root.querySelectorAll("time[data-ago]")) {
    set(node, ago(node.dateTime));
    node.title ||= new Date(node.dateTime).toLocaleString();
  }
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

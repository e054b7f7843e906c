// Words, dates and ids. Knows the labels the server translated; knows nothing of the page.

export function makeText(labels, locale) {
  const plurals = new Intl.PluralRules(locale);
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  const exact = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });
  const weekday = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
  const longDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
  const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const moment = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

  function t(key, values = {}) {
    if (!(key in labels)) throw new Error(`No label "${key}".`);
    return labels[key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  function day(date, now) {
    const days = dayNumber(date) - dayNumber(now);
    if (days === 0 || days === -1) return capitalised(relative.format(days, "day"), locale);
    return days > -180 && days < 0 ? weekday.format(date) : longDay.format(date);
  }

  return {
    t,
    has: (key) => key in labels,
    // A label in the form that `count` needs: key_one, key_other ...
    count: (key, count) => t(plurals.select(count) === "one" ? `${key}_one` : `${key}_other`, { count }),
    clock: (date) => clock.format(date),
    exact: (date) => exact.format(date),
    day,
    moment: (date) => moment.format(date),
    when: (date, now) => (dayNumber(date) === dayNumber(now) ? clock.format(date) : shortDay.format(date)),
  };
}

export function dayNumber(date) {
  return Math.floor((date.getTime() - date.getTimezoneOffset() * 60_000) / 86_400_000);
}

// What the server counts as characters: code points, not UTF-16 units.
export function lengthOf(text) {
  return [...text].length;
}

// crypto.randomUUID exists only on https and localhost; a chat on a company's plain-http network needs ids as well.
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function capitalised(text, locale) {
  return text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
}

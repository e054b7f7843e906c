// Requests to our own server. Every answer is {ok, status, body}; a broken line is {ok: false, status: 0}.

const OFFLINE = { code: "offline", message: "There is no connection to the server. Nothing is lost." };
const UNKNOWN = { code: "unknown", message: "Something went wrong on our side. Please try again." };
const NOT_ALLOWED = { code: "not_allowed", message: "Your account may not do this, or you are signed out. Load the page again." };

export function get(url) {
  return ask(url, { headers: { Accept: "application/json" } });
}

export async function page(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    return { ok: response.ok && !response.redirected, status: response.status, html: await response.text() };
  } catch {
    return { ok: false, status: 0, html: "" };
  }
}

// fields: an object; a value that is a list is sent several times.
export function post(url, fields = {}) {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) body.append(name, one);
  }
  const token = document.querySelector("#desk-token input").value;
  return ask(url, { method: "POST", body, headers: { Accept: "application/json", "X-CSRFToken": token } });
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    return { ok: false, status: 0, body: null, error: OFFLINE };
  }
  try {
    if (response.redirected) return { ok: false, status: 403, body: null, error: NOT_ALLOWED };
    const body = await response.json();
    return { ok: response.ok, status: response.status, body, error: body.error ?? (response.ok ? null : UNKNOWN) };
  } catch {
    return { ok: false, status: response.status, body: null, error: response.status === 403 ? NOT_ALLOWED : UNKNOWN };
  }
}

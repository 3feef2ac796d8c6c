/** REST calls to the gateway; an error carries what the server says to change. */

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(method, path, body) {
  const request = { method, headers: {}, cache: "no-store" };
  if (body !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refused(0, "the dashboard's server does not answer");
  }
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, detailOf(content) ?? answer.statusText);
  return content;
}

function detailOf(content) {
  const detail = content?.detail ?? content?.message;
  if (Array.isArray(detail)) return detail.map((it) => `${(it.loc ?? []).slice(1).join(".")}: ${it.msg}`).join("; ");
  return detail;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/** Lists come bare, or as `data`, or under their own name. */
export function listOf(content, name) {
  if (Array.isArray(content)) return content;
  return content?.[name] ?? content?.data ?? [];
}

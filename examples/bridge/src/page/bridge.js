const element = (id) => document.getElementById(id);
const form = element("form");

// Answers with the JSON, or throws what the problem document says.
async function ask(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
  const json = await answer.json();
  if (answer.ok) return json;
  const problem = new Error(json.detail ?? json.title);
  problem.field = json.field;
  throw problem;
}

function tell(problem) {
  element("problem").textContent = problem ? problem.message : "";
  form.elements[problem?.field]?.focus();
}

async function change(path, method) {
  try {
    await ask(path, method);
    tell(null);
  } catch (problem) {
    tell(problem);
  }
  await refresh();
}

function button(text, act) {
  const made = document.createElement("button");
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

function row({ bridge, state, read, copied }) {
  const made = document.createElement("tr");
  const texts = [bridge.name, bridge.source, bridge.target, bridge.filter ?? "all", read, copied, state];
  for (const text of texts) made.insertCell().textContent = text;
  const path = `bridges/${encodeURIComponent(bridge.name)}`;
  const verb = state === "paused" ? "resume" : "pause";
  made.insertCell().append(
    button(verb, () => change(`${path}/${verb}`, "POST")),
    " ",
    button("stop", () => change(path, "DELETE")),
  );
  return made;
}

async function refresh() {
  const bridges = await ask("bridges");
  element("none").hidden = bridges.length > 0;
  element("bridges").replaceChildren(...bridges.map(row));
}

async function offer() {
  const clusters = await ask("clusters");
  const names = clusters.flatMap(({ name, topics }) => topics.map((topic) => `${name}/${topic}`));
  element("topics").replaceChildren(...names.map((name) => new Option(name, name)));
  const silent = clusters.find(({ error }) => error);
  if (silent) tell(new Error(`${silent.name}: ${silent.error}`));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { filter, ...bridge } = Object.fromEntries(new FormData(form));
  try {
    await ask("bridges", "POST", { ...bridge, filter: filter || null });
    form.reset();
    tell(null);
  } catch (problem) {
    tell(problem);
  }
  await refresh();
});

async function look() {
  try {
    await refresh();
  } catch (problem) {
    tell(problem);
  } finally {
    setTimeout(look, 1000);
  }
}

offer().catch(tell);
look();

// Reading needs no script; this only adds what narrows a long page down: a search box above each long list, and one for all
// findings, with a choice of the list they are about.
const labelled = (text, field) => {
  const label = document.createElement("label");
  field.id = "find-" + document.querySelectorAll(".find label").length;
  label.htmlFor = field.id;
  label.textContent = text;
  return [label, field];
};
const search = () => Object.assign(document.createElement("input"), { type: "search" });

function narrowed(place, rows, fields, fits, after) {
  const bar = document.createElement("p"), found = document.createElement("output");
  bar.className = "find";
  place.before(bar);
  for (const [text, field] of fields) bar.append(...labelled(text, field));
  bar.append(found);
  bar.addEventListener("input", () => {
    for (const row of rows) row.hidden = !fits(row);
    const left = rows.filter(row => !row.hidden).length;
    found.textContent = left < rows.length ? `${left} of ${rows.length}` : "";
    after();
  });
}

const holds = (row, input) => row.textContent.toLowerCase().includes(input.value.trim().toLowerCase());

for (const list of document.querySelectorAll("[data-find]")) {
  const rows = [...list.querySelectorAll("[data-row]")], input = search();
  if (rows.length >= 12) narrowed(list, rows, [["Show only lines with", input]], row => holds(row, input), () => {});
}

const findings = [...document.querySelectorAll("[data-list]")];
if (findings.length >= 12) {
  const input = search(), choice = document.createElement("select");
  for (const name of ["", ...new Set(findings.map(row => row.dataset.list))]) choice.append(new Option(name || "all lists", name));
  narrowed(document.querySelector("#findings"), findings, [["Show", choice], ["with", input]],
    row => (!choice.value || row.dataset.list === choice.value) && holds(row, input),
    () => {
      for (const box of document.querySelectorAll("#findings .card:not([data-list]), #findings > section"))
        box.hidden = !box.querySelector("[data-list]:not([hidden])");
    });
}

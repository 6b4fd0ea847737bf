// Reading needs no script; this only adds a search box above long lists.
for (const list of document.querySelectorAll("[data-find]")) {
  const rows = [...list.querySelectorAll("[data-row]")];
  if (rows.length < 12) continue;
  const box = document.createElement("p"), label = document.createElement("label");
  const input = document.createElement("input"), found = document.createElement("output");
  box.className = "find";
  input.type = "search";
  input.id = "find-" + document.querySelectorAll(".find").length;
  label.htmlFor = input.id;
  label.textContent = "Show only lines with";
  box.append(label, input, found);
  list.before(box);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let left = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      left += !row.hidden;
    }
    found.textContent = wanted ? `${left} of ${rows.length}` : "";
  });
}

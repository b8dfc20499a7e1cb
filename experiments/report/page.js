"use strict";

// Rows by the cells under a heading: numbers by data-sort, words by their text; what has no number stays last.
function sortRows(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const rows = [...body.rows];
  const numeric = rows.some((row) => row.cells[column].dataset.sort !== undefined);
  const was = head.getAttribute("aria-sort");  // numbers start with the largest, words with A
  const ascending = was === null ? !numeric : was === "descending";
  const key = (row) => {
    const cell = row.cells[column];
    return numeric ? Number(cell.dataset.sort ?? NaN) : cell.textContent.trim();
  };
  rows.sort((one, other) => {
    const a = key(one), b = key(other);
    if (numeric && (isNaN(a) || isNaN(b))) return isNaN(a) - isNaN(b);
    const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
    return ascending ? order : -order;
  });
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...rows);
}

document.querySelectorAll("thead th:has(button)").forEach((head) => {
  head.firstElementChild.addEventListener("click", () => sortRows(head));
});

// A link to a run opens what it is folded in; a run alone in its row opens with it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  const runs = target.querySelectorAll(":scope > .run");
  if (runs.length === 1) runs[0].open = true;
  target.scrollIntoView();
}

addEventListener("hashchange", openTarget);
if (matchMedia("(max-width: 1099px)").matches) document.querySelector(".contents").open = false;
openTarget();

"use strict";
// Tables sort by a click or by Enter on a column's name: ascending first, then descending.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const number = head.classList.contains("num");
      const key = (row) => row.cells[column].dataset.sort;
      const absent = (row) => number && (!key(row) || /inf|nan/i.test(key(row)));
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        if (absent(a) || absent(b)) return absent(a) - absent(b);  // what is absent stays last
        const order = number ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b), "en", { numeric: true });
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
// On paper every table is open.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-opened]")) {
    part.open = false;
    delete part.dataset.opened;
  }
});

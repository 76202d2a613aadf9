// Arrow keys go from day to day among those that have backups; Tab does without this.

for (const table of document.querySelectorAll("table[data-calendar]")) {
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells]);
  const links = rows.flat().map((cell) => cell.querySelector("a"));
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
  table.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    const from = links.indexOf(event.target.closest("a"));
    if (!step || from < 0) return;
    for (let at = from + step; at >= 0 && at < links.length; at += step) {
      if (links[at]) {
        event.preventDefault();
        links[at].focus();
        return;
      }
    }
  });
}

// Ticking all rows of a page at once; which of them are ticked is told beside it.

for (const form of document.querySelectorAll("form[data-bulk]")) {
  const boxes = () => [...document.querySelectorAll(`input.pick[form="${form.id}"]`)];
  const all = form.querySelector("[data-pick-all]");
  const box = all.querySelector("input");
  const told = form.querySelector("option[value=picked]");
  const words = told.textContent;
  const show = () => {
    const ticked = boxes().filter((each) => each.checked).length;
    box.checked = ticked > 0 && ticked === boxes().length;
    box.indeterminate = ticked > 0 && ticked < boxes().length;
    told.textContent = ticked ? `${words} (${ticked})` : words;
  };
  all.hidden = false;
  box.addEventListener("change", () => {
    for (const each of boxes()) each.checked = box.checked;
    show();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input.pick")) show();
  });
  show();
}

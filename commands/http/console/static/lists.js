// Ticking all rows of a page at once; which of them are ticked is told beside it, and they stay
// ticked where the list is read anew.

for (const form of document.querySelectorAll("form[data-bulk]")) {
  const ticked = new Set();
  const boxes = () => [...document.querySelectorAll(`input.pick[form="${form.id}"]`)];
  const all = form.querySelector("[data-pick-all]");
  const box = all.querySelector("input");
  const told = form.querySelector("option[value=picked]");
  const words = told.textContent;
  const show = () => {
    const number = boxes().filter((each) => each.checked).length;
    box.checked = number > 0 && number === boxes().length;
    box.indeterminate = number > 0 && number < boxes().length;
    const text = number ? `${words} (${number})` : words;
    if (told.textContent !== text) told.textContent = text; // it is seen as a change as well
  };
  const remember = () => {
    for (const each of boxes()) ticked[each.checked ? "add" : "delete"](each.name);
    show();
  };
  all.hidden = false;
  box.addEventListener("change", () => {
    for (const each of boxes()) each.checked = box.checked;
    remember();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input.pick")) remember();
  });
  new MutationObserver(() => {
    for (const each of boxes()) each.checked = ticked.has(each.name);
    show();
  }).observe(document.getElementById("main"), { childList: true, subtree: true });
  remember();
}

// The slider shows where it is at once, and what was there as soon as it rests.

const WAIT_MS = 150;
const form = document.getElementById("travel");
const slider = document.getElementById("slider");
const where = document.getElementById("where");
const content = document.getElementById(form.dataset.content);
let asked = 0;
let timer;

async function travel() {
  const mine = ++asked;
  const query = new URLSearchParams({ position: slider.value });
  const user = document.getElementById("user").value;
  if (user) query.set("user", user);
  content.setAttribute("aria-busy", "true");
  const address = `${location.pathname}?${query}`;
  const answer = await fetch(address, { cache: "no-store" });
  if (mine !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById(content.id) ?? page.querySelector("main > *");
  if (found) content.replaceChildren(...(found.id === content.id ? found.childNodes : [found]));
  const since = page.getElementById("since");
  if (since) document.getElementById("since").value = since.value;
  content.setAttribute("aria-busy", "false");
  history.replaceState(null, "", address);
}

slider.addEventListener("input", () => {
  where.textContent = slider.value;
  clearTimeout(timer);
  timer = setTimeout(travel, WAIT_MS);
});

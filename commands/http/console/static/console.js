// What every page may need: a preview that follows the form, a typed confirmation. Each page works
// without it.

// A form's preview: asked for anew whenever the form changes.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const place = document.getElementById(form.dataset.previewPlace);
  let asked = 0;
  const refresh = async () => {
    const mine = ++asked;
    const query = new URLSearchParams(new FormData(form));
    query.delete("csrf");
    query.delete("form_key");
    const answer = await fetch(`${form.dataset.preview}?${query}`, { cache: "no-store" });
    if (mine !== asked || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById(place.id);
    if (found) place.replaceChildren(...found.childNodes);
  };
  form.addEventListener("input", refresh);
  form.addEventListener("change", refresh);
}

// A button that waits until the right words are typed; the server checks them as well.
for (const field of document.querySelectorAll("input[data-expects]")) {
  const button = field.form.querySelector("button[data-confirms]");
  const check = () => {
    button.disabled = field.value !== field.dataset.expects;
  };
  field.addEventListener("input", check);
  check();
}

// A filter that applies itself where it is a choice among few.
for (const choice of document.querySelectorAll("select[data-submits]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}

// What is newest is at the right: a drawing that is too wide begins there.
for (const place of document.querySelectorAll("[data-scroll-end]")) {
  place.scrollLeft = place.scrollWidth;
}

// Only the browser knows its zone: without a script, times are the schedule's or UTC.
for (const form of document.querySelectorAll("form[data-times]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) continue;
  form.elements.zone.value = zone;
  const button = form.querySelector("[data-local]");
  button.textContent = `my zone (${zone})`;
  button.hidden = false;
}

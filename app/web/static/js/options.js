// Marks the fields that something is wrong with, after a preview told so.
const form = document.getElementById("options");

function mark() {
  for (const told of document.querySelectorAll(".field-error")) {
    const field = document.getElementById(told.id.replace("error-", ""));
    if (!field) continue;
    if (told.textContent) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (told.textContent) field.closest("details")?.setAttribute("open", "");
  }
}

document.addEventListener("htmx:afterSettle", mark);

// One press starts one task, however slowly the answer comes.
form?.addEventListener("submit", () => {
  const start = document.getElementById("start");
  if (start) setTimeout(() => start.setAttribute("aria-disabled", "true"));
});
window.addEventListener("pageshow", () => document.getElementById("start")?.removeAttribute("aria-disabled"));

// A button with `data-copy="ID"` copies the text of that element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.querySelector("span") || button;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    label.textContent = "Copied";
  } catch {
    label.textContent = "Select and copy by hand";
  }
  setTimeout(() => (label.textContent = before), 2000);
});

// `hx-confirm` asks in a dialog of the page. The answer that changes nothing has the focus.
const dialog = document.getElementById("confirm");

document.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  document.getElementById("confirm-question").textContent = event.detail.question;
  document.getElementById("confirm-yes").textContent =
    event.detail.elt.dataset.confirmYes || "Yes, do it";
  dialog.returnValue = "no";
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue === "yes") event.detail.issueRequest(true);
    },
    { once: true },
  );
  dialog.showModal();
});

// A reason that is being typed is not taken away by the next look.
document.getElementById("limits").addEventListener("live:before", (event) => {
  const typed = [...event.currentTarget.querySelectorAll("input[name=reason]")].some((one) => one.value);
  if (typed) event.preventDefault();
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) event.detail.elt.reset?.();
});

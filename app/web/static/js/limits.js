// A reason that is being typed is not taken away by the next look.
const region = document.getElementById("limits");
const reasons = () => [...region.querySelectorAll("input[name=reason]")];

region.addEventListener("live:before", (event) => {
  if (reasons().some((one) => one.value)) event.preventDefault();
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) for (const one of reasons()) one.value = "";
});

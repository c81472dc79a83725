// Light or dark theme: the system's setting, unless the user chose one.

const KEPT = "convite.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const kept = localStorage.getItem(KEPT);
  document.documentElement.dataset.theme = kept ?? (dark.matches ? "dark" : "light");
}

export function startTheme() {
  apply();
  dark.addEventListener("change", apply);
}

export function turnTheme() {
  localStorage.setItem(KEPT, document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  apply();
}

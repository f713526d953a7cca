"use strict";
// Light or dark: as the system says, or as the button does; the choice is remembered.
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const themeButton = document.getElementById("theme");
  const remembered = () => { try { return localStorage.getItem("curate-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("curate-theme", theme); } catch { /* a file may have no storage */ } };
  const setTheme = (theme) => {
    if (theme === "auto") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", theme);
    themeButton.textContent = "Colours: " + theme;
    themeButton.dataset.theme = theme;
  };
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(themeButton.dataset.theme) + 1) % themes.length];
    setTheme(next);
    remember(next);
  });
  setTheme(themes.includes(remembered()) ? remembered() : "auto");
})();

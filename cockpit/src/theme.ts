// Light and dark as Cockpit has it. Each of Cockpit's pages does this for itself: the style is in localStorage as "shell:style",
// a change of it in the same browser comes as a storage event, in the same window as "cockpit-style".

type Style = "auto" | "light" | "dark";

export function isDark(style: string | null, systemIsDark: boolean): boolean {
  return style === "dark" || (style !== "light" && systemIsDark);
}

export function followTheme(): void {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = (): string | null => {
    try {
      return window.localStorage.getItem("shell:style");
    } catch {
      return null;
    }
  };
  const set = (style: string | null) => {
    const root = document.documentElement;
    root.classList.toggle("pf-v6-theme-dark", isDark(style, system.matches));
    root.style.colorScheme = isDark(style, system.matches) ? "dark" : "light";
  };
  window.addEventListener("storage", (event) => {
    if (event.key === "shell:style") set(stored());
  });
  window.addEventListener("cockpit-style", (event) => {
    const detail: unknown = (event as CustomEvent<{ style?: Style }>).detail?.style;
    set(typeof detail === "string" ? detail : stored());
  });
  system.addEventListener("change", () => set(stored()));
  set(stored());
}

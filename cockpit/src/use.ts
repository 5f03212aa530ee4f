// How the views see the store and the address of the page.
import { useSyncExternalStore } from "react";
import { Store, type Known } from "./store";

export const store = new Store();

export function useKnown(): Known {
  return useSyncExternalStore(store.subscribe, store.get);
}

function onLocation(listener: () => void): () => void {
  cockpit.addEventListener("locationchanged", listener);
  return () => cockpit.removeEventListener("locationchanged", listener);
}

/** The parts of the address behind #. */
export function usePath(): readonly string[] {
  const hash = useSyncExternalStore(onLocation, () => window.location.hash);
  const parts = hash.replace(/^#\/?/, "").split("?")[0]?.split("/") ?? [];
  return parts.filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

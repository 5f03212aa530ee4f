// What the page uses of Cockpit's own library, which Cockpit serves: window.cockpit.

declare namespace cockpit {
  interface DBusError {
    /** Cockpit's word for what went wrong on the way; null: the service itself has answered with an error. */
    problem: string | null;
    name: string | null;
    message: string;
  }
  interface DBusClient {
    call(path: string, iface: string, method: string, args: unknown[] | null, options?: { type?: string }): Promise<unknown[]>;
    subscribe(
      match: { path?: string; interface?: string; member?: string },
      callback: (path: string, iface: string, member: string, args: unknown[]) => void,
    ): { remove(): void };
    addEventListener(event: "close", handler: (event: Event, why: { problem?: string | null; message?: string }) => void): void;
    addEventListener(event: "owner", handler: (event: Event, owner: string | null) => void): void;
    close(): void;
  }
  interface Permission {
    allowed: boolean | null;
    addEventListener(event: "changed", handler: () => void): void;
  }
  interface Location {
    path: string[];
    options: Record<string, string | string[]>;
    go(path: string[] | string, options?: Record<string, string>): void;
  }
}

interface Cockpit {
  dbus(name: string, options: { bus: "system"; superuser?: "try" }): cockpit.DBusClient;
  permission(options: { admin: true }): cockpit.Permission;
  location: cockpit.Location;
  addEventListener(event: "locationchanged", handler: () => void): void;
  removeEventListener(event: "locationchanged", handler: () => void): void;
  transport: { wait(callback: () => void): void };
}

declare const cockpit: Cockpit;

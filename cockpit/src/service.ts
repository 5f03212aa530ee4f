// The D-Bus service as the page sees it: calls, signals, and whether it is there.
//
// Of an error only its name and its first value come through Cockpit: the bridge of Debian 13 drops the second one. The first
// one is the service's own text for people, and it is what the page shows.
import * as forms from "./forms";
import { BadForm, parse, type Read } from "./json";

const NAME = "org.anybind.Manager1";
const PATH = "/org/anybind/Manager1";
const RETRY_MS = 2000;

export type Kind =
  | "refused"
  | "usage"
  | "not_found"
  | "not_permitted"
  | "failed"
  | "incomplete"
  | "too_many_calls"
  | "too_old" // the service has no such method
  | "not_there" // it was not asked: there is nobody to ask
  | "not_known" // it was asked, and its answer has not come
  | "not_understood"; // its answer has not the form that it promises

export class ServiceError extends Error {
  constructor(
    readonly kind: Kind,
    message: string,
  ) {
    super(message);
  }
}

const KINDS: Record<string, Kind> = {
  "org.anybind.Error.Usage": "usage",
  "org.anybind.Error.Refused": "refused",
  "org.anybind.Error.NotFound": "not_found",
  "org.anybind.Error.NotPermitted": "not_permitted",
  "org.anybind.Error.Failed": "failed",
  "org.anybind.Error.Incomplete": "incomplete",
  "org.freedesktop.DBus.Error.LimitsExceeded": "too_many_calls",
  "org.freedesktop.DBus.Error.UnknownMethod": "too_old",
  "org.freedesktop.DBus.Error.UnknownInterface": "too_old",
  "org.freedesktop.DBus.Error.ServiceUnknown": "not_there",
  "org.freedesktop.DBus.Error.NameHasNoOwner": "not_there",
  "org.freedesktop.DBus.Error.NoReply": "not_known",
  "org.freedesktop.DBus.Error.Disconnected": "not_known",
  "org.freedesktop.DBus.Error.AccessDenied": "not_permitted",
};

/** What a failed call means. `method` is what was called. */
export function errorOf(error: unknown, method: string): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof BadForm)
    return new ServiceError("not_understood", `The service's answer to ${method} was not understood: ${error.message}.`);
  const { problem, name, message } = error as Partial<cockpit.DBusError>;
  const words = typeof message === "string" ? message : String(error);
  if (problem === "not-found") return new ServiceError("not_there", "The service has gone.");
  if (problem) return new ServiceError("not_known", words);
  const kind = (typeof name === "string" && KINDS[name]) || "failed";
  if (kind === "too_old") return new ServiceError(kind, `The service is too old: it does not know ${method}. Update anybind, then restart anybindd.`);
  const unknown = /no such member: ([a-z_]+)/.exec(words);
  if (kind === "usage" && unknown) return new ServiceError("too_old", `The service is too old: it does not know ${unknown[1]}. Update anybind, or ask without it.`);
  return new ServiceError(kind, words);
}

export type Connection =
  | { state: "connecting" }
  | { state: "there" }
  | { state: "missing"; why: string };

export interface Notice {
  level: string;
  device: string;
  rule: string;
  text: string;
  next: string;
}

export interface Listener {
  connection(now: Connection): void;
  devicesChanged(names: string[]): void;
  changed(command: string): void;
  rulesChanged(): void;
  noticed(notice: Notice): void;
  progress(values: unknown[]): void;
}

const strings = (values: unknown): string[] => (Array.isArray(values) ? values.filter((one) => typeof one === "string") : []);

/** The names of the methods in the description of an interface. */
export function methodsIn(xml: string): ReadonlySet<string> {
  return new Set([...xml.matchAll(/<method name="([A-Za-z]+)"/g)].map((match) => match[1] ?? ""));
}

export class Service {
  private client: cockpit.DBusClient | null = null;
  private timer: number | undefined;

  constructor(private readonly listener: Listener) {}

  start(): void {
    if (this.client) return;
    window.clearTimeout(this.timer);
    this.listener.connection({ state: "connecting" });
    this.connect();
  }

  private connect(): void {
    const client = cockpit.dbus(NAME, { bus: "system", superuser: "try" });
    this.client = client;
    client.addEventListener("owner", (_event, owner) => {
      if (this.client !== client) return;
      this.listener.connection(owner ? { state: "there" } : { state: "missing", why: "not-running" });
    });
    client.addEventListener("close", (_event, why) => {
      if (this.client !== client) return;
      this.client = null;
      this.listener.connection({ state: "missing", why: why.problem === "not-found" ? "not-running" : why.message || why.problem || "" });
      this.timer = window.setTimeout(() => this.connect(), RETRY_MS);
    });
    client.subscribe({ path: PATH, interface: NAME }, (_path, _iface, signal, args) => this.heard(signal, args));
  }

  private heard(signal: string, args: unknown[]): void {
    if (signal === "DevicesChanged") this.listener.devicesChanged(strings(args[0]));
    if (signal === "Changed") this.listener.changed(strings(args)[0] ?? "");
    if (signal === "RulesChanged") this.listener.rulesChanged();
    if (signal === "Progress") this.listener.progress(args);
    if (signal === "Noticed") {
      const [level = "", device = "", rule = "", text = "", next = ""] = strings(args);
      this.listener.noticed({ level, device, rule, text, next });
    }
  }

  /** No time limit: a change takes as long as a driver takes. */
  private async call<T>(method: string, type: string, args: unknown[], read: (values: unknown[]) => T): Promise<T> {
    if (!this.client) throw new ServiceError("not_there", "The service is not there.");
    try {
      return read(await this.client.call(PATH, NAME, method, args, { type }));
    } catch (error) {
      throw errorOf(error, method);
    }
  }

  private look<T>(method: string, type: string, args: unknown[], form: Read<T>): Promise<T> {
    return this.call(method, type, args, ([json]) => parse(json, form));
  }

  list(names: string[]): Promise<forms.Device[]> {
    return this.look("List", "as", [names], forms.devices);
  }
  async explain(name: string, driver: string): Promise<forms.Explanation> {
    const [first] = await this.look("Explain", "ss", [name, driver], forms.explanations);
    if (!first) throw new ServiceError("not_found", `${name}: no such device`);
    return first;
  }
  plan(request: forms.Request): Promise<forms.Preview> {
    return this.look("Plan", "s", [JSON.stringify(request)], forms.previewAnswer);
  }
  status(): Promise<forms.Status> {
    return this.look("Status", "", [], forms.statusAnswer);
  }
  rules(): Promise<forms.Rule[]> {
    return this.look("Rules", "", [], forms.rules);
  }
  history(): Promise<forms.Change[]> {
    return this.look("History", "", [], forms.changes);
  }
  change(request: forms.Request): Promise<{ outcomes: forms.Outcome[]; warnings: string[] }> {
    return this.call("Change", "s", [JSON.stringify(request)], ([json, warnings]) => ({
      outcomes: parse(json, forms.outcomes),
      warnings: strings(warnings),
    }));
  }
  apply(): Promise<{ applied: forms.Applied; warnings: string[] }> {
    return this.call("Apply", "", [], ([json, warnings]) => ({ applied: parse(json, forms.applied), warnings: strings(warnings) }));
  }
  readRules(): Promise<forms.RuleFile[]> {
    return this.look("ReadRules", "", [], forms.ruleFiles);
  }
  checkRules(name: string, text: string): Promise<forms.RuleCheck> {
    return this.look("CheckRules", "ss", [name, text], forms.ruleCheck);
  }
  /** `expected`: what the file held when it was read. When it holds something else by now, nothing is written. */
  writeRules(name: string, text: string, expected: string): Promise<{ path: string; warnings: string[] }> {
    return this.call("WriteRules", "sss", [name, text, expected], ([json, warnings]) => ({
      path: parse(json, forms.ruleWritten).path,
      warnings: strings(warnings),
    }));
  }
  /** What the service can do: its methods, as it describes them, and "persist" when a request may have that member. */
  async features(): Promise<ReadonlySet<string>> {
    if (!this.client) return new Set();
    try {
      const [xml] = await this.client.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect", [], { type: "" });
      const methods = methodsIn(typeof xml === "string" ? xml : "");
      return (await this.knowsPersist()) ? new Set([...methods, "persist"]) : methods;
    } catch {
      return new Set();
    }
  }
  /** By a question about no device, which has no answer: a service that does not know the member says so. */
  private async knowsPersist(): Promise<boolean> {
    try {
      await this.plan({ verb: "unbind", devices: [], persist: true });
      return true;
    } catch (error) {
      return error instanceof ServiceError && error.kind === "usage";
    }
  }
  async version(): Promise<string> {
    const form = "org.freedesktop.DBus.Properties";
    if (!this.client) return "";
    try {
      const [value] = await this.client.call(PATH, form, "Get", [NAME, "Version"], { type: "ss" });
      const inner = (value as { v?: unknown } | null)?.v;
      return typeof inner === "string" ? inner : "";
    } catch {
      return "";
    }
  }
}

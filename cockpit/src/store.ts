// What the page knows, and how it is kept true: read once, then again what the service says has changed.
import { busOf, inOrder, nameOf } from "./inventory";
import type * as forms from "./forms";
import { Service, ServiceError, errorOf, type Connection, type Listener, type Notice } from "./service";

export interface Heard extends Notice {
  time: number;
  number: number;
}

export interface Known {
  connection: Connection;
  version: string;
  /** Whose devices are shown. */
  bus: string;
  /** Of that bus. Null: not read yet. */
  devices: readonly forms.Device[] | null;
  devicesError: string | null;
  /** Why what is shown may be old; null: it is not. */
  stale: string | null;
  status: forms.Status | null;
  statusError: string | null;
  standings: ReadonlyMap<string, forms.Standing>;
  rules: readonly forms.Rule[] | null;
  rulesError: string | null;
  ruleFiles: readonly forms.RuleFile[] | null;
  ruleFilesError: string | null;
  history: readonly forms.Change[] | null;
  historyError: string | null;
  /** It was read after the connection was made. */
  isHistoryFresh: boolean;
  /** The number of the last change when a change was asked for here. */
  changeBefore: number;
  heard: readonly Heard[];
  /** Lines that the service has told of the change that goes on. */
  progress: readonly string[];
  /** What the service can do: an older one less. */
  features: ReadonlySet<string>;
  /** Counts what has happened to devices: whoever shows one reads it again. */
  deviceReadings: number;
}

const MOST_HEARD = 200;
const MOST_ONE_BY_ONE = 8;

const NOTHING: Known = {
  connection: { state: "connecting" },
  version: "",
  bus: "pci",
  devices: null,
  devicesError: null,
  stale: null,
  status: null,
  statusError: null,
  standings: new Map(),
  rules: null,
  rulesError: null,
  ruleFiles: null,
  ruleFilesError: null,
  history: null,
  historyError: null,
  isHistoryFresh: false,
  changeBefore: 0,
  heard: [],
  progress: [],
  features: new Set(),
  deviceReadings: 0,
};

export class Store implements Listener {
  readonly service = new Service(this);
  private known: Known = NOTHING;
  private readonly listeners = new Set<() => void>();
  private changedNames: Set<string> | "all" | null = null;
  private reading = false;
  private lookTimer: number | undefined;
  private number = 0;

  start(): void {
    this.service.start();
  }
  readonly get = (): Known => this.known;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  private set(part: Partial<Known>): void {
    this.known = { ...this.known, ...part };
    for (const listener of this.listeners) listener();
  }

  connection(now: Connection): void {
    this.set(now.state === "there" ? { connection: now } : { connection: now, isHistoryFresh: false });
    if (now.state !== "there") return;
    this.set({ stale: null });
    void this.service.version().then((version) => this.set({ version }));
    void this.service.features().then((features) => {
      this.set({ features });
      this.lookSoon();
    });
    this.readAgain();
  }
  /** Everything: at the start, when the service has come back, and when somebody asks for it. The devices come first. */
  readAgain(): void {
    this.changedNames = "all";
    void this.readDevices().then(() => this.look());
  }
  devicesChanged(names: string[]): void {
    if (names.length === 0) this.changedNames = "all";
    else if (this.changedNames !== "all") {
      this.changedNames ??= new Set();
      for (const name of names) if (busOf(name) === this.known.bus) this.changedNames.add(name);
    }
    void this.readDevices();
    this.lookSoon();
  }
  changed(): void {
    this.lookSoon();
  }
  rulesChanged(): void {
    this.lookSoon();
  }
  noticed(notice: Notice): void {
    const heard = { ...notice, time: Date.now(), number: this.number++ };
    this.set({ heard: [heard, ...this.known.heard].slice(0, MOST_HEARD) });
    this.lookSoon();
  }
  /** What came of a change that was asked for here: whoever has closed its dialog finds it among the events. */
  tell(level: string, device: string, text: string, next: string): void {
    this.noticed({ level, device, rule: "", text, next });
  }
  progress(values: unknown[]): void {
    const line = values.filter((value) => typeof value === "string" && value !== "").join(": ");
    if (line) this.set({ progress: [...this.known.progress, line].slice(-MOST_HEARD) });
  }
  startProgress(): void {
    this.set({ progress: [], changeBefore: this.known.history?.[0]?.id ?? 0 });
  }

  /** One reading at a time: what changes meanwhile is read afterwards. */
  private async readDevices(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    while (this.changedNames) {
      const names = this.changedNames;
      this.changedNames = null;
      try {
        if (names === "all" || this.known.devices === null) await this.readAll();
        else if (names.size > 0) await this.readSome([...names]);
      } catch (error) {
        const { kind, message } = errorOf(error, "List");
        if (this.known.devices === null) this.set({ devicesError: message });
        else this.set({ stale: message });
        if (kind !== "too_many_calls") break;
        this.changedNames = "all";
        await new Promise((resolve) => window.setTimeout(resolve, 1000));
      }
    }
    this.reading = false;
  }
  /** A bus that the machine has not has no devices. */
  private async readAll(): Promise<void> {
    const { bus } = this.known;
    const devices = await this.service.list(bus === "pci" ? [] : [`${bus}/*`]).catch((error: unknown) => {
      if (bus !== "pci" && error instanceof ServiceError && error.kind === "not_found") return [];
      throw error;
    });
    if (bus === this.known.bus) this.setDevices(devices.sort(inOrder));
  }
  showBus(bus: string): void {
    if (bus === this.known.bus) return;
    this.set({ bus, devices: null, devicesError: null });
    this.changedNames = "all";
    void this.readDevices();
  }
  private setDevices(devices: forms.Device[]): void {
    this.set({ devices, devicesError: null, stale: null, deviceReadings: this.known.deviceReadings + 1 });
  }
  private async readSome(names: string[]): Promise<void> {
    const found = new Map((this.known.devices ?? []).map((device) => [nameOf(device), device]));
    const put = (devices: forms.Device[]) => devices.forEach((device) => found.set(nameOf(device), device));
    try {
      put(await this.service.list(names));
    } catch (error) {
      if (!(error instanceof ServiceError) || error.kind !== "not_found") throw error;
      if (names.length > MOST_ONE_BY_ONE) return this.readAll();
      for (const name of names) {
        try {
          put(await this.service.list([name]));
        } catch (gone) {
          if (!(gone instanceof ServiceError) || gone.kind !== "not_found") throw gone;
          found.delete(name);
        }
      }
    }
    this.setDevices([...found.values()].sort(inOrder));
  }

  /** What is not about one device alone. Not at once: changes come in swarms. */
  private lookSoon(): void {
    if (this.lookTimer !== undefined) return;
    this.lookTimer = window.setTimeout(() => this.look(), 300);
  }
  private look(): void {
    window.clearTimeout(this.lookTimer);
    this.lookTimer = undefined;
    const words = (error: unknown) => errorOf(error, "the service").message;
    void this.service.status().then(
      (status) =>
        this.set({ status, statusError: null, standings: new Map(status.devices.map((one) => [nameOf(one), one])) }),
      (error) => this.set({ statusError: words(error) }),
    );
    void this.service.rules().then(
      (rules) => this.set({ rules, rulesError: null }),
      (error) => this.set({ rulesError: words(error) }),
    );
    if (this.known.features.has("ReadRules"))
      void this.service.readRules().then(
        (ruleFiles) => this.set({ ruleFiles, ruleFilesError: null }),
        (error) => this.set({ ruleFilesError: words(error) }),
      );
    void this.service.history().then(
      (history) => this.set({ history, historyError: null, isHistoryFresh: true }),
      (error) => this.set({ historyError: words(error) }),
    );
  }
}

// Small parts that several views share.
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Label } from "@patternfly/react-core/dist/esm/components/Label";
import type { ReactNode } from "react";
import { nameOf } from "./inventory";
import type { Device, Outcome, Standing, User } from "./forms";
import { bindingText } from "./texts";

export function Words({ text }: { text: string }) {
  return <div className="any-words">{text}</div>;
}

export function Problem({ title, text, children }: { title: string; text?: string | undefined; children?: ReactNode }) {
  return (
    <Alert variant="danger" isInline title={title} role="alert">
      {text && <Words text={text} />}
      {children}
    </Alert>
  );
}

export function hrefOf(name: string): string {
  return `#/device/${encodeURIComponent(name)}`;
}

export function DeviceLink({ name }: { name: string }) {
  return (
    <a className="any-code" href={hrefOf(name)}>
      {name}
    </a>
  );
}

export function DriverLabel({ device }: { device: Device }) {
  if (device.busy) return <Label color="orange">busy</Label>;
  if (device.driver === null) return <span className="any-muted">none</span>;
  return <span className="any-code">{device.driver}</span>;
}

export function Users({ users }: { users: readonly User[] }) {
  if (users.length === 0) return <span className="any-muted">nobody</span>;
  return (
    <ul className="any-list">
      {users.map((user, at) => (
        <li key={at} className="any-words">
          {user.who}
        </li>
      ))}
    </ul>
  );
}

const STATES = {
  met: { color: "green", text: "as declared" },
  drift: { color: "red", text: "differs" },
  "not-obeyed": { color: "orange", text: "not obeyed" },
  unknown: { color: "grey", text: "not known" },
} as const;

export function StateLabel({ standing }: { standing: Standing }) {
  const { color, text } = STATES[standing.state];
  return <Label color={color}>{text}</Label>;
}

export function Outcomes({ outcomes }: { outcomes: readonly Outcome[] }) {
  if (outcomes.length === 0) return <p>Nothing changes.</p>;
  return (
    <ul className="any-list">
      {outcomes.map((one) => (
        <li key={nameOf(one)} className="any-words">
          <span className="any-code">{nameOf(one)}</span>: {bindingText(one)}
        </li>
      ))}
    </ul>
  );
}

export function Pager({ page, pages, onPage }: { page: number; pages: number; onPage(page: number): void }) {
  if (pages <= 1) return null;
  return (
    <nav aria-label="Pages">
      <Button variant="secondary" size="sm" isDisabled={page === 0} onClick={() => onPage(page - 1)}>
        Previous
      </Button>{" "}
      <Button variant="secondary" size="sm" isDisabled={page >= pages - 1} onClick={() => onPage(page + 1)}>
        Next
      </Button>
    </nav>
  );
}

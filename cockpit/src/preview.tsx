// What would happen: the plan of the service, asked for anew whenever the question or a device has changed.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Checkbox } from "@patternfly/react-core/dist/esm/components/Checkbox";
import { ExpandableSection } from "@patternfly/react-core/dist/esm/components/ExpandableSection";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { Title } from "@patternfly/react-core/dist/esm/components/Title";
import { useEffect, useState } from "react";
import { guardsNamed, linesOf } from "./change";
import type { Device, Preview, Request, Step } from "./forms";
import { nameOf } from "./inventory";
import { Outcomes, Problem, Words } from "./parts";
import { errorOf, type ServiceError } from "./service";
import { store, useKnown } from "./use";

const PAUSE_MS = 250;

export type Foreseen = { at: "nothing" } | { at: "asking" } | { at: "plan"; preview: Preview; request: Request } | { at: "error"; error: ServiceError };

/** Null as a request: the question is not complete. An answer counts only for the question that it was given to. */
export function useForeseen(request: Request | null, isOn: boolean): Foreseen {
  const { deviceReadings, connection } = useKnown();
  const [answer, setAnswer] = useState<{ key: string; foreseen: Foreseen } | null>(null);
  const key = request ? JSON.stringify(request) : "";
  useEffect(() => {
    if (!isOn || key === "" || connection.state !== "there") return;
    let isWanted = true;
    const asked = JSON.parse(key) as Request;
    const timer = window.setTimeout(() => {
      store.service.plan(asked).then(
        (preview) => isWanted && setAnswer({ key, foreseen: { at: "plan", preview, request: asked } }),
        (error: unknown) => isWanted && setAnswer({ key, foreseen: { at: "error", error: errorOf(error, "Plan") } }),
      );
    }, PAUSE_MS);
    return () => {
      isWanted = false;
      window.clearTimeout(timer);
    };
  }, [key, isOn, deviceReadings, connection.state]);
  if (key === "") return { at: "nothing" };
  return answer?.key === key ? answer.foreseen : { at: "asking" };
}

function Steps({ steps }: { steps: readonly Step[] }) {
  const [isOpen, setOpen] = useState(false);
  if (steps.length === 0) return null;
  return (
    <ExpandableSection toggleText={steps.length === 1 ? "1 step" : `${steps.length} steps`} isExpanded={isOpen} onToggle={(_event, open) => setOpen(open)}>
      <ol>
        {steps.map((step, at) => (
          <li key={at}>
            {step.rollback && "To put it back: "}
            <span className="any-words">{step.reason}</span>
            <div className="any-code any-muted">{step.shell}</div>
          </li>
        ))}
      </ol>
    </ExpandableSection>
  );
}

function UsedBy({ names }: { names: readonly string[] }) {
  const { devices } = useKnown();
  const used = (devices ?? []).filter((device: Device) => device.in_use.length > 0 && names.includes(nameOf(device)));
  if (used.length === 0) return null;
  return (
    <>
      <Title headingLevel="h3" size="md">
        Who uses it now
      </Title>
      <ul className="any-list">
        {used.flatMap((device) =>
          device.in_use.map((user, at) => (
            <li key={`${nameOf(device)} ${at}`} className="any-words">
              {nameOf(device)}: {user.who}
            </li>
          )),
        )}
      </ul>
    </>
  );
}

function Plan({ preview }: { preview: Preview }) {
  return (
    <>
      <Title headingLevel="h3" size="md">
        What would happen
      </Title>
      {preview.predicted && <Outcomes outcomes={preview.predicted} />}
      {preview.error && <Problem title="It would fail" text={wordsOf(preview.error)} />}
      {preview.notes.map((note) => (
        <Words key={note} text={note} />
      ))}
      {preview.warnings.map((warning) => (
        <Alert key={warning} variant="warning" isInline title="Mind this">
          <Words text={warning} />
        </Alert>
      ))}
      <Steps steps={preview.steps} />
      <UsedBy names={(preview.predicted ?? []).map(nameOf)} />
    </>
  );
}

function wordsOf(error: NonNullable<Preview["error"]>): string {
  return [error.message, ...error.details, error.next].filter(Boolean).join("\n");
}

export function PlanView({ foreseen }: { foreseen: Foreseen }) {
  switch (foreseen.at) {
    case "nothing":
      return <p className="any-muted">What would happen is shown here as soon as the question is complete.</p>;
    case "asking":
      return (
        <p>
          <Spinner size="md" aria-label="Asking what would happen" /> Asking what would happen
        </p>
      );
    case "error":
      return <Problem title={foreseen.error.kind === "refused" ? "Refused" : "This cannot be done"} text={foreseen.error.message} />;
    case "plan":
      return <Plan preview={foreseen.preview} />;
  }
}

/** Guard, and the words of the service about it, as long as the question is the same. */
export type Guards = ReadonlyMap<string, string>;

export function guardsOf(foreseen: Foreseen, before: Guards): Guards {
  const words = foreseen.at === "error" ? foreseen.error.message : foreseen.at === "plan" && foreseen.preview.error ? wordsOf(foreseen.preview.error) : "";
  const named = guardsNamed(words).filter((guard) => !before.has(guard));
  if (named.length === 0) return before;
  return new Map([...before, ...named.map((guard) => [guard, linesOf(words, guard).join("\n")] as const)]);
}

export function GuardsForm(props: { guards: Guards; ignored: readonly string[]; onChange(ignored: string[]): void }) {
  if (props.guards.size === 0) return null;
  return (
    <fieldset className="any-stack">
      <legend>Do it in spite of what speaks against it. Tick only what you know to be harmless.</legend>
      {[...props.guards].map(([guard, lines]) => (
        <Checkbox
          key={guard}
          id={`in-spite-of-${guard}`}
          label={`In spite of ${guard}`}
          description={lines && <Words text={lines} />}
          isChecked={props.ignored.includes(guard)}
          onChange={(_event, isTicked) => props.onChange(isTicked ? [...props.ignored, guard] : props.ignored.filter((one) => one !== guard))}
        />
      ))}
    </fieldset>
  );
}


// What is declared, how it stands, and the files that declare it.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Label } from "@patternfly/react-core/dist/esm/components/Label";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { Title } from "@patternfly/react-core/dist/esm/components/Title";
import { useState } from "react";
import { ApplyDialog } from "./apply-dialog";
import type { Rule, RuleFile, Status } from "./forms";
import { nameOf } from "./inventory";
import { DeviceLink, Problem, StateLabel, Words } from "./parts";
import { RuleEditor } from "./rule-editor";
import { declaredText } from "./texts";
import { useKnown } from "./use";

function matchText(match: Record<string, unknown>): string {
  return Object.entries(match)
    .map(([key, value]) => `${key} = ${Array.isArray(value) ? value.join(", ") : String(value)}`)
    .join("\n");
}

function Row({ rule }: { rule: Rule }) {
  const { standings } = useKnown();
  return (
    <tr className="pf-v6-c-table__tr">
      <th className="pf-v6-c-table__th" scope="row" data-label="Rule">
        {rule.rule}
        <div className="any-muted any-words">{rule.place}</div>
      </th>
      <td className="pf-v6-c-table__td" data-label="Of">
        <Words text={matchText(rule.match)} />
      </td>
      <td className="pf-v6-c-table__td" data-label="Says">
        {declaredText(rule.declared)}
        {rule.group !== "listed" && <div className="any-muted">group: {rule.group}</div>}
        {rule.promise !== "eventually" && <div className="any-muted">promise: {rule.promise}</div>}
        {rule.ignore.length > 0 && <div className="any-muted">in spite of {rule.ignore.join(", ")}</div>}
      </td>
      <td className="pf-v6-c-table__td" data-label="Devices">
        {rule.devices.length === 0 ? (
          <span className="any-muted">none now</span>
        ) : (
          <ul className="any-list">
            {rule.devices.map((one) => {
              const standing = standings.get(nameOf(one));
              return (
                <li key={nameOf(one)}>
                  <DeviceLink name={nameOf(one)} /> {standing && <StateLabel standing={standing} />}
                  {standing?.differs && <Words text={standing.differs} />}
                </li>
              );
            })}
          </ul>
        )}
      </td>
    </tr>
  );
}

function Table({ rules }: { rules: readonly Rule[] }) {
  return (
    <table className="pf-v6-c-table pf-m-grid-md pf-m-compact any-table" aria-label="Rules">
      <thead className="pf-v6-c-table__thead">
        <tr className="pf-v6-c-table__tr">
          {["Rule", "Of", "Says", "Devices"].map((column) => (
            <th key={column} className="pf-v6-c-table__th" scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="pf-v6-c-table__tbody">
        {rules.map((rule, at) => (
          <Row key={`${rule.place} ${at}`} rule={rule} />
        ))}
      </tbody>
    </table>
  );
}

export function Problems({ status }: { status: Status }) {
  return (
    <>
      {status.problems.map((one, at) => (
        <Alert key={at} variant="warning" isInline title={one.device ? nameOf(one.device) : (one.rule ?? "Look at this")}>
          <Words text={[one.what, one.place && `It is the rule at ${one.place}.`, one.next && `What to do: ${one.next}`].filter(Boolean).join("\n")} />
        </Alert>
      ))}
    </>
  );
}

const STATES: Record<string, string> = {
  counts: "counts",
  masked: "a file of the same name counts in its place",
  mask: "stands for a file without rules",
  refused: "is not believed, and no rule counts until that is mended",
};

function Files({ onEdit }: { onEdit(file: RuleFile | null): void }) {
  const { features, ruleFiles, ruleFilesError } = useKnown();
  if (!features.has("WriteRules"))
    return <p className="any-muted">The service is too old to show or write the files of rules here. Update anybind, or write them in /etc/anybind.d.</p>;
  if (ruleFilesError) return <Problem title="The files of rules could not be read" text={ruleFilesError} />;
  if (!ruleFiles) return <Spinner aria-label="Reading the files of rules" />;
  return (
    <>
      <ul className="any-list" aria-label="Files of rules">
        {ruleFiles.map((file) => (
          <li key={file.path}>
            <span className="any-code">{file.path}</span>{" "}
            <Label color={file.state === "refused" ? "red" : file.state === "counts" ? "green" : "grey"}>{STATES[file.state] ?? file.state}</Label>{" "}
            <Button variant="link" isInline aria-label={`Edit ${file.path}…`} isDisabled={file.text === null} onClick={() => onEdit(file)}>
              Edit…
            </Button>
            {file.why && <Words text={file.why} />}
          </li>
        ))}
      </ul>
      <Button variant="secondary" onClick={() => onEdit(null)}>
        New file of rules…
      </Button>
    </>
  );
}

export function Rules() {
  const { rules, rulesError, status, statusError } = useKnown();
  const [isApplying, setApplying] = useState(false);
  const [edited, setEdited] = useState<{ file: RuleFile | null } | null>(null);
  return (
    <div className="any-stack">
      {rulesError && <Problem title="The rules could not be read" text={rulesError} />}
      {statusError && statusError !== rulesError && <Problem title="How the rules stand could not be read" text={statusError} />}
      {status && <Problems status={status} />}
      {!rules && !rulesError && <Spinner aria-label="Reading the rules" />}
      {rules && !rulesError && (
        <div className="any-bar">
          <span className="any-grow" role="status">
            {rules.length === 0
              ? "There is no rule."
              : status?.devices.every((one) => one.state === "met")
                ? "Every device is as declared."
                : "Not every device is as declared."}
          </span>
          <Button variant="secondary" isDisabled={rules.length === 0} onClick={() => setApplying(true)}>
            Make it so…
          </Button>
        </div>
      )}
      {rules && !rulesError && rules.length > 0 && <Table rules={rules} />}
      <Title headingLevel="h2" size="lg">
        Files of rules
      </Title>
      <Files onEdit={(file) => setEdited({ file })} />
      {isApplying && <ApplyDialog onClose={() => setApplying(false)} />}
      {edited && <RuleEditor file={edited.file} onClose={() => setEdited(null)} />}
    </div>
  );
}

// One file of rules: its text, what is wrong with it, and what it would change. The service checks and writes it.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Form, FormGroup } from "@patternfly/react-core/dist/esm/components/Form";
import { Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/esm/components/Modal";
import { TextArea } from "@patternfly/react-core/dist/esm/components/TextArea";
import { TextInput } from "@patternfly/react-core/dist/esm/components/TextInput";
import { useEffect, useState } from "react";
import { Differing } from "./apply-dialog";
import type { Fault, RuleCheck, RuleFile } from "./forms";
import { Failed } from "./going-on";
import { Problem, Words } from "./parts";
import { errorOf, type ServiceError } from "./service";
import { devicesText } from "./texts";
import { store } from "./use";

const PAUSE_MS = 400;

type Checked = { key: string; check: RuleCheck | null; error: ServiceError | null };

function useChecked(name: string, text: string): Checked | null {
  const [checked, setChecked] = useState<Checked | null>(null);
  const key = `${name}\n${text}`;
  useEffect(() => {
    if (name === "") return;
    let isWanted = true;
    const timer = window.setTimeout(() => {
      store.service.checkRules(name, text).then(
        (check) => isWanted && setChecked({ key, check, error: null }),
        (error: unknown) => isWanted && setChecked({ key, check: null, error: errorOf(error, "CheckRules") }),
      );
    }, PAUSE_MS);
    return () => {
      isWanted = false;
      window.clearTimeout(timer);
    };
  }, [key, name, text]);
  return checked?.key === key ? checked : null;
}

function placeText(fault: Fault): string {
  return [fault.file, fault.line, fault.column].filter((part) => part !== null).join(":");
}

function CheckView({ checked }: { checked: Checked | null }) {
  if (!checked) return <p className="any-muted">Not checked yet.</p>;
  if (checked.error) return <Problem title="This cannot be written" text={checked.error.message} />;
  const { problems = [], status, rules } = checked.check ?? {};
  if (problems.length > 0)
    return (
      <Problem title={problems.length === 1 ? "One thing is wrong" : `${problems.length} things are wrong`}>
        <ul className="any-list">
          {problems.map((fault, at) => (
            <li key={at} className="any-words">
              {[placeText(fault), fault.text].filter(Boolean).join(": ")}
              {fault.hint && <div>What to do: {fault.hint}</div>}
            </li>
          ))}
        </ul>
      </Problem>
    );
  const differing = (status?.devices ?? []).filter((one) => one.state === "drift");
  return (
    <>
      <Alert variant="success" isInline title={`Nothing is wrong. With it there are ${rules?.length === 1 ? "1 rule" : `${rules?.length ?? 0} rules`}, about ${devicesText(status?.devices.length ?? 0)}.`} />
      {differing.length > 0 && (
        <div>
          <p>These devices would not be as declared, and be changed when the rules are made so:</p>
          <Differing standings={differing} />
        </div>
      )}
      {(status?.problems ?? []).map((one, at) => (
        <Words key={at} text={[one.what, one.next].filter(Boolean).join("\n")} />
      ))}
    </>
  );
}

const EXAMPLE = `[[rule]]
name = ""
match = { device = "" }
driver = ""
`;

type Stage = { at: "asking" } | { at: "writing" } | { at: "done"; path: string; warnings: string[] } | { at: "failed"; error: ServiceError };

export function RuleEditor({ file, onClose }: { file: RuleFile | null; onClose(): void }) {
  const [name, setName] = useState(file?.name ?? "");
  const [text, setText] = useState(file?.text ?? EXAMPLE);
  // A package's own file is not written: one of the same name in the administrator's folder counts in its place.
  const [expected, setExpected] = useState(file && file.from !== "vendor" ? (file.text ?? "") : "");
  const [found, setFound] = useState<string | null>(null);
  const [stage, setStage] = useState<Stage>({ at: "asking" });
  const checked = useChecked(name, text);
  const canWrite = checked?.check !== null && checked?.check.problems.length === 0 && stage.at !== "writing" && (text !== expected || file === null);
  const write = async () => {
    setStage({ at: "writing" });
    try {
      setStage({ at: "done", ...(await store.service.writeRules(name, text, expected)) });
    } catch (error) {
      setStage({ at: "failed", error: errorOf(error, "WriteRules") });
    }
    store.readAgain();
  };
  const readAgain = async () => {
    try {
      const files = await store.service.readRules();
      const now = files.find((one) => one.name === name && one.from !== "vendor")?.text ?? "";
      setExpected(now);
      setFound(now);
      setStage({ at: "asking" });
    } catch (error) {
      setStage({ at: "failed", error: errorOf(error, "ReadRules") });
    }
  };
  return (
    <Modal isOpen variant="large" onClose={onClose} aria-labelledby="rules-title" aria-describedby="rules-body">
      <ModalHeader title={file ? `Rules in ${file.path}` : "New file of rules"} labelId="rules-title" />
      <ModalBody id="rules-body" tabIndex={0}>
        <div className="any-stack">
          {stage.at === "done" ? (
            <Alert variant="success" isInline title={text === "" ? "Removed" : "Written"} role="status">
              <Words text={[stage.path, ...stage.warnings].join("\n")} />
            </Alert>
          ) : (
            <>
              <Form onSubmit={(event) => event.preventDefault()}>
                {file === null && (
                  <FormGroup label="Name of the file, without .toml" fieldId="rules-name">
                    <TextInput id="rules-name" value={name} placeholder="50-guest" onChange={(_event, value) => setName(value.trim())} />
                  </FormGroup>
                )}
                {file?.from === "vendor" && <p>A package has brought this file. What you write stands in a file of the same name, which counts in its place.</p>}
                <FormGroup label="Rules" fieldId="rules-text">
                  <TextArea
                    id="rules-text"
                    className="any-code"
                    rows={14}
                    spellCheck={false}
                    resizeOrientation="vertical"
                    value={text}
                    onChange={(_event, value) => setText(value)}
                  />
                </FormGroup>
              </Form>
              {found !== null && (
                <Alert variant="info" isInline title="The file holds this now. Save writes your text in its place.">
                  <div className="any-code any-words">{found || "(nothing)"}</div>
                </Alert>
              )}
              <div aria-live="polite" className="any-stack">
                {text === "" && <p>Without a text the file is removed.</p>}
                <CheckView checked={checked} />
              </div>
              {stage.at === "failed" && (
                <>
                  <Failed error={stage.error} />
                  <Button variant="link" isInline onClick={() => void readAgain()}>
                    Read the file again
                  </Button>
                </>
              )}
            </>
          )}
        </div>
      </ModalBody>
      <ModalFooter>
        {stage.at !== "done" && (
          <Button variant={text === "" ? "danger" : "primary"} isDisabled={!canWrite} isLoading={stage.at === "writing"} onClick={() => void write()}>
            {text === "" ? "Remove the file" : "Save"}
          </Button>
        )}
        <Button variant="link" onClick={onClose}>
          {stage.at === "done" ? "Close" : "Cancel"}
        </Button>
      </ModalFooter>
    </Modal>
  );
}

// Making every rule so.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/esm/components/Modal";
import { useState } from "react";
import type { Applied, Standing } from "./forms";
import { Failed, Running } from "./going-on";
import { nameOf } from "./inventory";
import { Outcomes, Problem, Words } from "./parts";
import { errorOf, type ServiceError } from "./service";
import { declaredText } from "./texts";
import { store, useKnown } from "./use";

export function Differing({ standings }: { standings: readonly Standing[] }) {
  return (
    <ul className="any-list">
      {standings.map((one) => (
        <li key={nameOf(one)} className="any-words">
          <span className="any-code">{nameOf(one)}</span>: {one.differs ?? "not known"} (rule {one.rule}: {declaredText(one.declared)})
        </li>
      ))}
    </ul>
  );
}

function Done({ applied, warnings }: { applied: Applied; warnings: readonly string[] }) {
  const failed = applied.changes.filter((one) => one.error !== null);
  return (
    <div className="any-stack">
      {failed.map((one) => (
        <Problem
          key={one.place}
          title={`Rule ${one.rule}: not done`}
          text={one.error ? [one.error.message, ...one.error.details, one.error.next].filter(Boolean).join("\n") : ""}
        />
      ))}
      <Alert variant={failed.length > 0 ? "info" : "success"} isInline title={failed.length > 0 ? "The rest is done" : "Done"} role="status">
        <Outcomes outcomes={applied.changes.flatMap((one) => one.devices)} />
        {warnings.map((warning) => (
          <Words key={warning} text={warning} />
        ))}
      </Alert>
    </div>
  );
}

type Stage = { at: "asking" } | { at: "running" } | { at: "done"; applied: Applied; warnings: string[] } | { at: "failed"; error: ServiceError };

export function ApplyDialog({ onClose }: { onClose(): void }) {
  const { status, connection } = useKnown();
  const [stage, setStage] = useState<Stage>({ at: "asking" });
  const differing = (status?.devices ?? []).filter((one) => one.state !== "met");
  const carryOut = async () => {
    store.startProgress();
    setStage({ at: "running" });
    try {
      setStage({ at: "done", ...(await store.service.apply()) });
    } catch (error) {
      setStage({ at: "failed", error: errorOf(error, "Apply") });
    }
    store.readAgain();
  };
  return (
    <Modal isOpen variant="medium" onClose={onClose} aria-labelledby="apply-title" aria-describedby="apply-body">
      <ModalHeader title="Make every rule so" labelId="apply-title" />
      <ModalBody id="apply-body" tabIndex={0}>
        {stage.at === "asking" && differing.length === 0 && <p>Every device is as declared. There is nothing to do.</p>}
        {stage.at === "asking" && differing.length > 0 && (
          <div className="any-stack">
            <p>These devices are not as declared. Each is changed as its rule says. What a guard speaks against is not done, and is told.</p>
            <Differing standings={differing} />
          </div>
        )}
        {stage.at === "running" && <Running />}
        {stage.at === "done" && <Done applied={stage.applied} warnings={stage.warnings} />}
        {stage.at === "failed" && <Failed error={stage.error} />}
      </ModalBody>
      <ModalFooter>
        {stage.at === "asking" && (
          <Button variant="primary" isDisabled={differing.length === 0 || connection.state !== "there"} onClick={() => void carryOut()}>
            Make it so
          </Button>
        )}
        <Button variant="link" onClick={onClose}>
          {stage.at === "asking" ? "Cancel" : "Close"}
        </Button>
      </ModalFooter>
    </Modal>
  );
}

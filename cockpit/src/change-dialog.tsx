// A change, from the question by way of the plan to what came of it. Nothing happens before the button is pressed.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Form } from "@patternfly/react-core/dist/esm/components/Form";
import { Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/esm/components/Modal";
import { useEffect, useMemo, useState } from "react";
import { buttonOf, changesSomething, isLasting, requestOf, requestToSend, titleOf, type Want } from "./change";
import { BindForm, FunctionsForm, GroupForm } from "./change-form";
import type { Explanation, Outcome } from "./forms";
import { nameOf } from "./inventory";
import { Failed, Running, failedText } from "./going-on";
import { Outcomes, Words } from "./parts";
import { GuardsForm, PlanView, guardsOf, useForeseen, type Foreseen, type Guards } from "./preview";
import { errorOf, type ServiceError } from "./service";
import { store, useKnown } from "./use";

type Stage =
  | { at: "asking" }
  | { at: "running" }
  | { at: "done"; outcomes: readonly Outcome[]; warnings: readonly string[] }
  | { at: "failed"; error: ServiceError };

const NO_GUARDS: Guards = new Map();

function useExplanation(want: Want): Explanation | null {
  const [explanation, setExplanation] = useState<Explanation | null>(null);
  const name = "device" in want && want.device ? nameOf(want.device) : "";
  useEffect(() => {
    if (!name) return;
    let isWanted = true;
    store.service.explain(name, "").then(
      (answer) => isWanted && setExplanation(answer),
      () => undefined, // the plan tells what is wrong
    );
    return () => {
      isWanted = false;
    };
  }, [name]);
  return explanation;
}

function Questions(props: { want: Want; explanation: Explanation | null; canPersist: boolean; onChange(want: Want): void }) {
  const { want, ...rest } = props;
  switch (want.verb) {
    case "bind":
      return <BindForm want={want} {...rest} />;
    case "unbind":
    case "restore":
      return <GroupForm want={want} {...rest} />;
    case "vfs":
      return <FunctionsForm want={want} {...rest} />;
    case "undo":
      return null;
  }
}

function Result({ stage }: { stage: Stage }) {
  if (stage.at === "running") return <Running />;
  if (stage.at === "failed") return <Failed error={stage.error} />;
  if (stage.at !== "done") return null;
  return (
    <Alert variant="success" isInline title="Done" role="status">
      <Outcomes outcomes={stage.outcomes} />
      {stage.warnings.map((warning) => (
        <Words key={warning} text={warning} />
      ))}
    </Alert>
  );
}

function canDo(foreseen: Foreseen): foreseen is Extract<Foreseen, { at: "plan" }> {
  return foreseen.at === "plan" && foreseen.preview.error === null && foreseen.preview.predicted !== null;
}

export function ChangeDialog({ first, onClose }: { first: Want; onClose(): void }) {
  const { features, connection } = useKnown();
  const [want, setWant] = useState(first);
  const [ignored, setIgnored] = useState<string[]>([]);
  const [guards, setGuards] = useState(NO_GUARDS);
  const [stage, setStage] = useState<Stage>({ at: "asking" });
  const explanation = useExplanation(want);
  const request = useMemo(() => requestOf(want, ignored), [want, ignored]);
  const foreseen = useForeseen(request, stage.at === "asking");
  const shown = guardsOf(foreseen, guards);
  if (shown !== guards) setGuards(shown);

  const name = "device" in want && want.device ? nameOf(want.device) : "";
  const ask = (next: Want) => {
    setWant(next);
    setIgnored([]); // a tick was for what was asked then
    setGuards(NO_GUARDS);
  };
  const carryOut = async () => {
    if (!canDo(foreseen)) return;
    store.startProgress();
    setStage({ at: "running" });
    const title = titleOf(want, name);
    try {
      const done = await store.service.change(requestToSend(foreseen.request, foreseen.preview));
      setStage({ at: "done", ...done });
      store.tell("info", name, `${title}: done`, "");
    } catch (thrown) {
      const error = errorOf(thrown, "Change");
      setStage({ at: "failed", error });
      store.tell("warning", name, `${title}: ${failedText(error)}`, error.message);
    }
    store.readAgain();
  };
  const isEmpty = canDo(foreseen) && !isLasting(want) && !changesSomething(foreseen.preview.predicted ?? []) && foreseen.preview.steps.length === 0;
  const isAsking = stage.at === "asking";
  return (
    <Modal isOpen variant="medium" onClose={onClose} aria-labelledby="change-title" aria-describedby="change-body">
      <ModalHeader title={titleOf(want, name)} labelId="change-title" />
      <ModalBody id="change-body" tabIndex={0}>
        <div className="any-stack">
          {isAsking && (
            <Form onSubmit={(event) => event.preventDefault()}>
              <Questions want={want} explanation={explanation} canPersist={features.has("persist")} onChange={ask} />
            </Form>
          )}
          {isAsking && (
            <div aria-live="polite" className="any-stack">
              <PlanView foreseen={foreseen} />
              {isEmpty && <p>There is nothing to do: it is so already.</p>}
            </div>
          )}
          {isAsking && <GuardsForm guards={shown} ignored={ignored} onChange={setIgnored} />}
          <Result stage={stage} />
        </div>
      </ModalBody>
      <ModalFooter>
        {isAsking && (
          <Button
            variant={ignored.length > 0 ? "danger" : "primary"}
            isDisabled={!canDo(foreseen) || isEmpty || connection.state !== "there"}
            onClick={() => void carryOut()}
          >
            {buttonOf(want)}
          </Button>
        )}
        {stage.at === "failed" && (
          <Button variant="secondary" onClick={() => setStage({ at: "asking" })}>
            Back to the plan
          </Button>
        )}
        <Button variant="link" onClick={onClose}>
          {isAsking ? "Cancel" : "Close"}
        </Button>
      </ModalFooter>
    </Modal>
  );
}

// A change that goes on, and one that was not done. That of a lost connection is neither.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { Problem, Words } from "./parts";
import type { ServiceError } from "./service";
import { timeText } from "./texts";
import { useKnown } from "./use";

/** The lines that the service tells while it works. Another change that goes on at the same time is told of, too. */
export function Running() {
  const { connection, progress } = useKnown();
  return (
    <div role="status" className="any-stack">
      <p>
        <Spinner size="md" aria-label="Working" /> Working. It takes as long as the drivers take. It goes on when this is closed; what came of it
        is then told under Events.
      </p>
      {connection.state !== "there" && <p>The connection is lost. Whether it goes on is not known.</p>}
      <ul className="any-list">
        {progress.map((line, at) => (
          <li key={at} className="any-words">
            {line}
          </li>
        ))}
      </ul>
    </div>
  );
}

const UNKNOWN = "What came of it is not known yet";
const FAILED: Partial<Record<ServiceError["kind"], string>> = {
  refused: "Refused: nothing was changed",
  usage: "Not done: the request was not understood",
  not_found: "Not done: something is not there",
  not_permitted: "Not permitted: nothing was changed",
  failed: "Not done: all is as before",
  incomplete: "Not complete: some of it is done",
  too_many_calls: "Not done: the service has too much to do",
  too_old: "Not done: the service is too old",
  not_there: "Not done: the service is not there",
};

/** What the service says of changes since somebody asked here: that of a lost answer is one of them, if there is one. */
function Since() {
  const { history, historyError, changeBefore } = useKnown();
  if (!history) return <p className="any-words">The service is there, but its history could not be read. {historyError}</p>;
  const since = history.filter((one) => one.id > changeBefore);
  if (since.length === 0) return <p>The service is there. Its history has no change since you asked: it seems that nothing was done.</p>;
  return (
    <>
      <p>The service is there. Its history has since you asked:</p>
      <ul className="any-list">
        {since.map((one) => (
          <li key={one.id} className="any-words">
            {one.id}: {one.command} ({one.result}, {timeText(one.time)})
          </li>
        ))}
      </ul>
    </>
  );
}

/** The call has no answer. What can be said is what the service says of its last changes, once it is back. */
function NotKnown({ error }: { error: ServiceError }) {
  const { connection, isHistoryFresh } = useKnown();
  return (
    <Alert variant="warning" isInline title={UNKNOWN} role="alert">
      <Words text={error.message} />
      {connection.state !== "there" && <p>The connection is lost. The change may go on all the same. Everything is read again when the service is back.</p>}
      {connection.state === "there" && isHistoryFresh && <Since />}
      <p>Look at the device and at the history before you try again.</p>
    </Alert>
  );
}

function isUnknown(error: ServiceError): boolean {
  return error.kind === "not_known" || error.kind === "not_understood";
}

export function failedText(error: ServiceError): string {
  return isUnknown(error) ? UNKNOWN : (FAILED[error.kind] ?? "Not done");
}

export function Failed({ error }: { error: ServiceError }) {
  return isUnknown(error) ? <NotKnown error={error} /> : <Problem title={failedText(error)} text={error.message} />;
}

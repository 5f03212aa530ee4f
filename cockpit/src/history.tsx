// The changes that were made, newest first, and the way back.
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { Label } from "@patternfly/react-core/dist/esm/components/Label";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { useState } from "react";
import type { Want } from "./change";
import type { Change } from "./forms";
import { Pager, Problem } from "./parts";
import { timeText } from "./texts";
import { useKnown } from "./use";

const PAGE = 50;
const COLORS: Record<string, "green" | "red" | "orange" | "blue" | "grey"> = { done: "green", failed: "red", running: "blue", open: "orange", stuck: "red" };

function Row({ change, onWant }: { change: Change; onWant(want: Want): void }) {
  return (
    <tr className="pf-v6-c-table__tr">
      <th className="pf-v6-c-table__th" scope="row" data-label="Change">
        {change.id}
      </th>
      <td className="pf-v6-c-table__td" data-label="When">
        {timeText(change.time)}
      </td>
      <td className="pf-v6-c-table__td" data-label="What">
        <span className="any-words">{change.command}</span>
      </td>
      <td className="pf-v6-c-table__td" data-label="Result">
        <Label color={COLORS[change.result] ?? "grey"}>{change.result}</Label>
        {change.undone_by !== null && ` undone by ${change.undone_by}`}
        {change.undo_of !== null && ` undid ${change.undo_of}`}
      </td>
      <td className="pf-v6-c-table__td" data-label="">
        {change.result === "done" && change.undone_by === null && (
          <Button variant="secondary" size="sm" aria-label={`Undo change ${change.id}…`} onClick={() => onWant({ verb: "undo", change: change.id })}>
            Undo…
          </Button>
        )}
      </td>
    </tr>
  );
}

export function History({ onWant }: { onWant(want: Want): void }) {
  const { history, historyError } = useKnown();
  const [page, setPage] = useState(0);
  if (historyError) return <Problem title="The history could not be read" text={historyError} />;
  if (!history) return <Spinner aria-label="Reading the history" />;
  const at = Math.min(page, Math.max(0, Math.ceil(history.length / PAGE) - 1));
  return (
    <div className="any-stack">
      <div className="any-bar">
        <span className="any-grow">{history.length === 0 ? "Nothing was changed." : history.length === 1 ? "1 change" : `${history.length} changes`}</span>
        <Pager page={at} pages={Math.ceil(history.length / PAGE)} onPage={setPage} />
        <Button variant="secondary" onClick={() => onWant({ verb: "restore", device: null, wholeGroup: false, persist: false })}>
          Restore everything…
        </Button>
      </div>
      {history.length > 0 && (
        <table className="pf-v6-c-table pf-m-grid-md pf-m-compact any-table" aria-label="History">
          <thead className="pf-v6-c-table__thead">
            <tr className="pf-v6-c-table__tr">
              {["Change", "When", "What", "Result"].map((column) => (
                <th key={column} className="pf-v6-c-table__th" scope="col">
                  {column}
                </th>
              ))}
              <td className="pf-v6-c-table__td" />
            </tr>
          </thead>
          <tbody className="pf-v6-c-table__tbody">
            {history.slice(at * PAGE, (at + 1) * PAGE).map((change) => (
              <Row key={change.id} change={change} onWant={onWant} />
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

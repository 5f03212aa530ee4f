// What the service has told since the page was opened.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { nameOf } from "./inventory";
import type { Heard } from "./store";
import { DeviceLink, Words } from "./parts";
import { useKnown } from "./use";

const VARIANTS: Record<string, "danger" | "warning" | "info"> = { error: "danger", warning: "warning" };

function One({ heard, isKnown }: { heard: Heard; isKnown: boolean }) {
  return (
    <Alert variant={VARIANTS[heard.level] ?? "info"} isInline isPlain title={heard.text || "Something has happened"}>
      <div className="any-muted">
        {new Date(heard.time).toLocaleTimeString()}
        {heard.device && <> · {isKnown ? <DeviceLink name={heard.device} /> : heard.device}</>}
        {heard.rule && ` · rule ${heard.rule}`}
      </div>
      {heard.next && <Words text={heard.next} />}
    </Alert>
  );
}

export function Events() {
  const { heard, devices } = useKnown();
  const names = new Set((devices ?? []).map(nameOf));
  if (heard.length === 0) return <p>The service has told nothing since this page was opened. What it told before is in its journal: journalctl -u anybindd</p>;
  return (
    <ul className="any-list" aria-label="Events">
      {heard.map((one) => (
        <li key={one.number}>
          <One heard={one} isKnown={names.has(one.device)} />
        </li>
      ))}
    </ul>
  );
}

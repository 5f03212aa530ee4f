// The frame: the title, what is wrong with the connection, the tabs.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { EmptyState, EmptyStateBody } from "@patternfly/react-core/dist/esm/components/EmptyState";
import { Title } from "@patternfly/react-core/dist/esm/components/Title";
import { Badge } from "@patternfly/react-core/dist/esm/components/Badge";
import { useState } from "react";
import type { Want } from "./change";
import { ChangeDialog } from "./change-dialog";
import { DevicePage } from "./device-page";
import { Events } from "./events";
import { History } from "./history";
import { DeviceList, FIRST_VIEW } from "./list";
import { Problem } from "./parts";
import { Rules } from "./rules";
import { store, useKnown, usePath } from "./use";
import type { Known } from "./store";

function NotThere({ why }: { why: string }) {
  return (
    <EmptyState titleText="The service of anybind is not running" headingLevel="h2" role="alert">
      <EmptyStateBody>
        <p>This page asks anybindd over D-Bus. To start it, type on the machine:</p>
        <p className="any-code">systemctl start anybindd</p>
        <p>If that says that there is no such unit, install the package anybind. The page goes on by itself when the service is there.</p>
        {why !== "not-running" && <p className="any-words">Cockpit says: {why}</p>}
      </EmptyStateBody>
    </EmptyState>
  );
}

function Banner({ known }: { known: Known }) {
  if (known.connection.state === "missing" && known.devices)
    return (
      <Alert variant="warning" isInline title="The service does not answer. What is shown is what it said last." role="alert">
        <p>The page reads everything again when the service is back. It is asked every two seconds.</p>
      </Alert>
    );
  if (known.stale)
    return (
      <Problem title="What is shown may be old" text={known.stale}>
        <Button variant="link" isInline onClick={() => store.readAgain()}>
          Read again
        </Button>
      </Problem>
    );
  return null;
}

const VIEWS = [
  { path: "", label: "Devices" },
  { path: "rules", label: "Rules" },
  { path: "history", label: "History" },
  { path: "events", label: "Events" },
] as const;

function Views({ now, differing }: { now: string; differing: number }) {
  return (
    <nav aria-label="Views">
      <ul className="any-views">
        {VIEWS.map(({ path, label }) => (
          <li key={path}>
            <a href={`#/${path}`} aria-current={now === path ? "page" : undefined}>
              {label}
              {path === "rules" && differing > 0 && (
                <>
                  {" "}
                  <Badge screenReaderText="to look at">{differing}</Badge>
                </>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export function App() {
  const known = useKnown();
  const path = usePath();
  const [view, setView] = useState(FIRST_VIEW);
  const [want, setWant] = useState<Want | null>(null);
  const differing = known.status ? known.status.problems.length + known.status.devices.filter((one) => one.state !== "met").length : 0;
  const body = () => {
    if (!known.devices && (known.bus === "pci" || known.devicesError || known.connection.state === "missing")) {
      if (known.connection.state === "missing") return <NotThere why={known.connection.why} />;
      if (known.devicesError) return <Problem title="The devices could not be read" text={known.devicesError} />;
      return <p role="status">Reading the devices …</p>; // no spinner: its pictures would take time from the reading
    }
    switch (path[0]) {
      case "device":
        return <DevicePage name={path[1] ?? ""} onWant={setWant} />;
      case "rules":
        return <Rules />;
      case "history":
        return <History onWant={setWant} />;
      case "events":
        return <Events />;
      default:
        return <DeviceList view={view} setView={setView} />;
    }
  };
  return (
    <main className="any-page any-stack">
      <Title headingLevel="h1">Devices</Title>
      <Views now={path[0] === "device" ? "" : (path[0] ?? "")} differing={differing} />
      <Banner known={known} />
      {body()}
      {want && <ChangeDialog key={JSON.stringify(want)} first={want} onClose={() => setWant(null)} />}
    </main>
  );
}

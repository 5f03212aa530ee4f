// The frame: the title, what is wrong with the connection, the tabs.
import { Alert } from "@patternfly/react-core/dist/esm/components/Alert";
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import { EmptyState, EmptyStateBody } from "@patternfly/react-core/dist/esm/components/EmptyState";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { Title } from "@patternfly/react-core/dist/esm/components/Title";
import { useState } from "react";
import { DeviceList, FIRST_VIEW } from "./list";
import { Problem } from "./parts";
import { store, useKnown } from "./use";
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

export function App() {
  const known = useKnown();
  const [view, setView] = useState(FIRST_VIEW);
  let body;
  if (known.devices) body = <DeviceList view={view} setView={setView} />;
  else if (known.connection.state === "missing") body = <NotThere why={known.connection.why} />;
  else if (known.devicesError) body = <Problem title="The devices could not be read" text={known.devicesError} />;
  else body = <Spinner aria-label="Reading the devices" />;
  return (
    <main className="any-page any-stack">
      <Title headingLevel="h1">Devices</Title>
      <Banner known={known} />
      {body}
    </main>
  );
}

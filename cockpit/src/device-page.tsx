// One device: what it is, who uses it, what could be done with it and why not.
import { Button } from "@patternfly/react-core/dist/esm/components/Button";
import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
} from "@patternfly/react-core/dist/esm/components/DescriptionList";
import { FormSelect, FormSelectOption } from "@patternfly/react-core/dist/esm/components/FormSelect";
import { Label } from "@patternfly/react-core/dist/esm/components/Label";
import { Spinner } from "@patternfly/react-core/dist/esm/components/Spinner";
import { Title } from "@patternfly/react-core/dist/esm/components/Title";
import { useEffect, useState, type ReactNode } from "react";
import { firstWant, type Want } from "./change";
import { driverName, type Device, type Explanation, type Member, type Standing } from "./forms";
import { busOf, nameOf } from "./inventory";
import { DeviceLink, DriverLabel, Problem, StateLabel, Words } from "./parts";
import { errorOf } from "./service";
import { declaredText } from "./texts";
import { store, useKnown } from "./use";

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <DescriptionListGroup>
      <DescriptionListTerm>{term}</DescriptionListTerm>
      <DescriptionListDescription>{children}</DescriptionListDescription>
    </DescriptionListGroup>
  );
}

function Facts({ device, standing }: { device: Device; standing: Standing | undefined }) {
  return (
    <DescriptionList isHorizontal isCompact>
      <Fact term="Driver">
        <DriverLabel device={device} />
        {device.driver_override !== null && <span className="any-muted"> kept for {device.driver_override} (driver_override)</span>}
      </Fact>
      <Fact term="Class">{device.class_name ?? "not known"}</Fact>
      {device.vendor && device.device && (
        <Fact term="ID">
          <span className="any-code">
            {device.vendor}:{device.device}
          </span>
        </Fact>
      )}
      {device.numa_node !== null && <Fact term="NUMA node">{device.numa_node}</Fact>}
      {device.physical_function !== null && (
        <Fact term="Virtual function of">
          <DeviceLink name={device.physical_function} />
        </Fact>
      )}
      {device.sriov && device.sriov.total > 0 && (
        <Fact term="Virtual functions">
          {device.sriov.enabled} of {device.sriov.total}
        </Fact>
      )}
      {device.users.length > 0 && <Fact term="Interfaces">{device.users.join(", ")}</Fact>}
      <Fact term="Used by">
        {device.in_use.length === 0 ? (
          <span className="any-muted">nobody</span>
        ) : (
          <ul className="any-list">
            {device.in_use.map((user, at) => (
              <li key={at}>
                <Label isCompact>{user.guard}</Label> <span className="any-words">{user.who}</span>
                {user.next && <div className="any-words any-muted">To free it: {user.next}</div>}
              </li>
            ))}
          </ul>
        )}
      </Fact>
      <Fact term="Rule">
        {standing ? (
          <>
            <StateLabel standing={standing} /> {standing.rule}: {declaredText(standing.declared)} <span className="any-muted">({standing.place})</span>
            {standing.differs && <Words text={standing.differs} />}
            {standing.last_change && <Words text={`Last changed by “${standing.last_change.command}”.`} />}
          </>
        ) : (
          <span className="any-muted">no rule is about it</span>
        )}
      </Fact>
    </DescriptionList>
  );
}

/** Why a driver can have it or not, in the words of explain. Read again when something has happened to a device. */
function useExplained(name: string, driver: string): { explanation: Explanation | null; error: string | null } {
  const { deviceReadings } = useKnown();
  const [answer, setAnswer] = useState<{ explanation: Explanation | null; error: string | null }>({ explanation: null, error: null });
  useEffect(() => {
    let isWanted = true;
    store.service.explain(name, driver).then(
      (explanation) => isWanted && setAnswer({ explanation, error: null }),
      (error: unknown) => isWanted && setAnswer({ explanation: null, error: errorOf(error, "Explain").message }),
    );
    return () => {
      isWanted = false;
    };
  }, [name, driver, deviceReadings]);
  return answer;
}

function Members({ members }: { members: readonly Member[] }) {
  return (
    <ul className="any-list">
      {members.map((one) => (
        <li key={nameOf(one)}>
          <DeviceLink name={nameOf(one)} /> {one.driver ?? "no driver"}
          {one.bridge && ", a bridge"}
          {one.blocks_user_space && " "}
          {one.blocks_user_space && <Label color="orange">keeps the group from user space</Label>}
        </li>
      ))}
    </ul>
  );
}

function Asked({ asked }: { asked: NonNullable<Explanation["asked"]> }) {
  const { obstacles, group } = asked;
  return (
    <div className="any-stack">
      <p>
        {asked.possible ? `${asked.name} can have it.` : `${asked.name} cannot have it as things are.`}
        {asked.loads_module && " Its module is loaded first."}
      </p>
      {obstacles.length > 0 && (
        <ul className="any-list">
          {obstacles.map((one, at) => (
            <li key={at} className="any-words">
              {one.what}
              {one.next && <div className="any-muted">What to do: {one.next}</div>}
            </li>
          ))}
        </ul>
      )}
      {group && !group.viable && (
        <>
          <Words text={`The group cannot be opened by a guest or a program yet: ${group.rule}`} />
          <ul className="any-list">
            {group.others.map((one) => (
              <li key={nameOf(one)} className="any-words">
                {nameOf(one)}: {one.why}
              </li>
            ))}
            {group.changes.map((change) => (
              <li key={change} className="any-words">
                What would help: {change}
              </li>
            ))}
          </ul>
        </>
      )}
      {group && group.refusals.length > 0 && (
        <ul className="any-list">
          {group.refusals.map((one, at) => (
            <li key={at} className="any-words">
              {one.guard}: {one.what}
              {one.next && <div className="any-muted">What to do: {one.next}</div>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Why({ device }: { device: Device }) {
  const [driver, setDriver] = useState("");
  const { explanation, error } = useExplained(nameOf(device), driver);
  if (error) return <Problem title="Why cannot be told" text={error} />;
  if (!explanation) return <Spinner size="lg" aria-label="Asking why" />;
  const drivers = [...new Set(explanation.candidates.map(driverName).filter(Boolean))];
  return (
    <div className="any-stack">
      <Words text={explanation.verdict} />
      <div>
        <label htmlFor="why-driver">Why can a driver have it, or not?</label>
        <FormSelect id="why-driver" value={driver} onChange={(_event, value) => setDriver(value)}>
          <FormSelectOption value="" label="Choose a driver" />
          {drivers.map((one) => (
            <FormSelectOption key={one} value={one} label={one} />
          ))}
        </FormSelect>
      </div>
      {explanation.asked && <Asked asked={explanation.asked} />}
      {explanation.iommu_group !== null && (
        <>
          <Title headingLevel="h3" size="md">
            IOMMU group {explanation.iommu_group}
          </Title>
          <Members members={explanation.group_members} />
        </>
      )}
    </div>
  );
}

export function DevicePage({ name, onWant }: { name: string; onWant(want: Want): void }) {
  const { bus, devices, standings } = useKnown();
  useEffect(() => store.showBus(busOf(name)), [name]);
  const device = devices?.find((one) => nameOf(one) === name);
  if (!devices || bus !== busOf(name)) return <p role="status">Reading the devices …</p>;
  if (!device)
    return (
      <div className="any-stack">
        <Title headingLevel="h2">{name}</Title>
        <p role="alert">There is no such device now. If it was here, it has gone, or it has another address.</p>
        <a href="#/">All devices</a>
      </div>
    );
  const want = (verb: "bind" | "unbind" | "restore" | "vfs") => onWant(firstWant(verb, device));
  return (
    <div className="any-stack">
      <a href="#/">All devices</a>
      <Title headingLevel="h2">{name}</Title>
      <p>{device.name ?? "not named"}</p>
      <div className="any-bar">
        <Button variant="primary" onClick={() => want("bind")}>
          Give to a driver…
        </Button>
        <Button variant="secondary" onClick={() => want("unbind")}>
          Take from its driver…
        </Button>
        <Button variant="secondary" onClick={() => want("restore")}>
          Restore…
        </Button>
        {device.sriov && device.sriov.total > 0 && (
          <Button variant="secondary" onClick={() => want("vfs")}>
            Virtual functions…
          </Button>
        )}
      </div>
      <Facts device={device} standing={standings.get(name)} />
      <Title headingLevel="h3">Why</Title>
      <Why key={name} device={device} />
    </div>
  );
}

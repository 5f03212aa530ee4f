// The questions of the dialog of a change.
import { Checkbox } from "@patternfly/react-core/dist/esm/components/Checkbox";
import { ExpandableSection } from "@patternfly/react-core/dist/esm/components/ExpandableSection";
import { FormGroup, FormHelperText } from "@patternfly/react-core/dist/esm/components/Form";
import { Radio } from "@patternfly/react-core/dist/esm/components/Radio";
import { TextInput } from "@patternfly/react-core/dist/esm/components/TextInput";
import { useState } from "react";
import type { Want } from "./change";
import { driverName, type Candidate, type Explanation, type Member } from "./forms";
import { nameOf } from "./inventory";
import { devicesText } from "./texts";

type Of<V extends Want["verb"]> = Extract<Want, { verb: V }>;

function groupWords(members: readonly Member[]): string {
  return members.map((one) => `${nameOf(one)} (${one.driver ?? "no driver"}${one.bridge ? ", a bridge" : ""})`).join("\n");
}

function WholeGroup<W extends { wholeGroup: boolean }>({ want, explanation, onChange }: { want: W; explanation: Explanation | null; onChange(want: W): void }) {
  if (!explanation || explanation.iommu_group === null || explanation.group_members.length < 2) return null;
  return (
    <Checkbox
      id="whole-group"
      label={`With its whole IOMMU group ${explanation.iommu_group} (${devicesText(explanation.group_members.length)})`}
      description={<span className="any-words">{groupWords(explanation.group_members)}</span>}
      isChecked={want.wholeGroup}
      onChange={(_event, wholeGroup) => onChange({ ...want, wholeGroup })}
    />
  );
}

function Persist<W extends { persist: boolean }>(props: { want: W; label: string; description: string; can: boolean; onChange(want: W): void }) {
  if (!props.can) return null;
  return (
    <Checkbox
      id="persist"
      label={props.label}
      description={props.description}
      isChecked={props.want.persist}
      onChange={(_event, persist) => props.onChange({ ...props.want, persist })}
    />
  );
}

const LASTS = { label: "Also after the next start of the machine", description: "Writes a rule for it." };

/** Drivers that match, each once, by the names by which a change asks for them. */
function driversOf(candidates: readonly Candidate[]): { driver: string; rule: string; vfio: boolean }[] {
  const out = new Map<string, { driver: string; rule: string; vfio: boolean }>();
  for (const one of candidates) {
    const driver = driverName(one);
    if (driver && !out.has(driver)) out.set(driver, { driver, rule: one.rule, vfio: one.vfio_variant });
  }
  return [...out.values()];
}

interface Props<W> {
  want: W;
  explanation: Explanation | null;
  canPersist: boolean;
  onChange(want: W): void;
}

export function BindForm({ want, explanation, onChange, canPersist }: Props<Of<"bind">>) {
  const [other, setOther] = useState("");
  const drivers = driversOf(explanation?.candidates ?? []);
  const isOther = want.driver === other && !drivers.some((one) => one.driver === want.driver);
  const [more, setMore] = useState(false);
  return (
    <>
      <FormGroup role="radiogroup" fieldId="drivers" label="Driver" isStack>
        {drivers.map(({ driver, rule, vfio }) => (
          <Radio
            key={driver}
            id={`driver-${driver}`}
            name="driver"
            label={driver === explanation?.driver ? `${driver} (has it now)` : driver}
            description={<span className="any-words">{vfio ? `for a guest or a program in user space; matches ${rule}` : `matches ${rule}`}</span>}
            isChecked={want.driver === driver}
            onChange={() => onChange({ ...want, driver })}
          />
        ))}
        <Radio
          id="driver-other"
          name="driver"
          label="Another driver"
          isChecked={isOther && want.driver !== ""}
          onChange={() => onChange({ ...want, driver: other })}
          body={
            <TextInput
              aria-label="Name of another driver"
              value={other}
              onChange={(_event, value) => {
                setOther(value.trim());
                onChange({ ...want, driver: value.trim() });
              }}
            />
          }
        />
      </FormGroup>
      <WholeGroup want={want} explanation={explanation} onChange={onChange} />
      <Persist want={want} {...LASTS} can={canPersist} onChange={onChange} />
      <ExpandableSection toggleText="More choices" isExpanded={more} onToggle={(_event, open) => setMore(open)}>
        <div className="any-stack">
          <FormGroup label="Owner of the group's file in /dev/vfio" fieldId="owner">
            <TextInput id="owner" value={want.owner} placeholder="USER or USER:GROUP" onChange={(_event, owner) => onChange({ ...want, owner: owner.trim() })} />
          </FormGroup>
          <Checkbox
            id="part-of-group"
            label="Although the rest of the group keeps it closed for now"
            isChecked={want.partOfGroup}
            onChange={(_event, partOfGroup) => onChange({ ...want, partOfGroup })}
          />
          <Checkbox
            id="no-iommu"
            label="Although no IOMMU guards the memory, which is unsafe"
            isChecked={want.noIommu}
            onChange={(_event, noIommu) => onChange({ ...want, noIommu })}
          />
        </div>
      </ExpandableSection>
    </>
  );
}

const GIVEN_BACK = { label: "And remove its rule", description: "A rule that stays gives it away again." };

export function GroupForm({ want, explanation, canPersist, onChange }: Props<Of<"unbind"> | Of<"restore">>) {
  return (
    <>
      <WholeGroup want={want} explanation={explanation} onChange={onChange} />
      <Persist want={want} {...(want.verb === "unbind" ? LASTS : GIVEN_BACK)} can={canPersist} onChange={onChange} />
    </>
  );
}

export function FunctionsForm({ want, canPersist, onChange }: Omit<Props<Of<"vfs">>, "explanation">) {
  const sriov = want.device.sriov;
  return (
    <>
      <FormGroup label="Number of virtual functions" fieldId="count">
        <TextInput
          id="count"
          type="number"
          min={0}
          max={sriov?.total ?? 65535}
          value={want.count ?? ""}
          onChange={(_event, value) => {
            const count = /^[0-9]{1,5}$/.test(value) ? Number(value) : null;
            onChange({ ...want, count });
          }}
        />
        {sriov && <FormHelperText>{`It has ${sriov.enabled} now, and can have ${sriov.total}.`}</FormHelperText>}
      </FormGroup>
      <FormGroup label="Their driver" fieldId="functions-driver">
        <TextInput
          id="functions-driver"
          value={want.driver}
          placeholder="the one that the bus chooses"
          onChange={(_event, driver) => onChange({ ...want, driver: driver.trim() })}
        />
      </FormGroup>
      <Persist want={want} {...LASTS} can={canPersist} onChange={onChange} />
    </>
  );
}

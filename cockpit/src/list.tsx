// The table of all devices.
import { FormSelect, FormSelectOption } from "@patternfly/react-core/dist/esm/components/FormSelect";
import { TextInput } from "@patternfly/react-core/dist/esm/components/TextInput";
import "@patternfly/react-styles/css/components/Table/table.css";
import "@patternfly/react-styles/css/components/Table/table-grid.css";
import { memo, useDeferredValue, useMemo } from "react";
import { BUSES, GROUPINGS, groupsOf, matches, nameOf, pageOf, type Filter, type Group, type Grouping, type Page } from "./inventory";
import type { Device, Standing } from "./forms";
import { DeviceLink, DriverLabel, Pager, StateLabel, Users } from "./parts";
import { declaredText, devicesText } from "./texts";
import { store, useKnown } from "./use";

const Row = memo(function Row({ device, standing }: { device: Device; standing: Standing | undefined }) {
  const functions = device.sriov && device.sriov.total > 0 ? `${device.sriov.enabled} of ${device.sriov.total} virtual functions` : "";
  return (
    <tr className="pf-v6-c-table__tr">
      <th className="pf-v6-c-table__th" scope="row" data-label="Device">
        <DeviceLink name={nameOf(device)} />
        <div className="any-muted">{device.name ?? "not named"}</div>
        {functions && <div className="any-muted">{functions}</div>}
      </th>
      <td className="pf-v6-c-table__td" data-label="Class">
        {device.class_name ?? ""}
      </td>
      <td className="pf-v6-c-table__td" data-label="IOMMU group">
        {device.iommu_group ?? <span className="any-muted">none</span>}
      </td>
      <td className="pf-v6-c-table__td" data-label="Driver">
        <DriverLabel device={device} />
      </td>
      <td className="pf-v6-c-table__td" data-label="Used by">
        <Users users={device.in_use} />
      </td>
      <td className="pf-v6-c-table__td" data-label="Rule">
        {standing ? (
          <>
            <StateLabel standing={standing} /> {standing.rule}: {declaredText(standing.declared)}
          </>
        ) : (
          <span className="any-muted">none</span>
        )}
      </td>
    </tr>
  );
});

const COLUMNS = ["Device", "Class", "IOMMU group", "Driver", "Used by", "Rule"];

function Table({ groups, standings }: { groups: readonly Group[]; standings: ReadonlyMap<string, Standing> }) {
  return (
    <table className="pf-v6-c-table pf-m-grid-md pf-m-compact any-table" aria-label="Devices">
      <thead className="pf-v6-c-table__thead">
        <tr className="pf-v6-c-table__tr">
          {COLUMNS.map((column) => (
            <th key={column} className="pf-v6-c-table__th" scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      {groups.map((group) => (
        <tbody key={group.key} className="pf-v6-c-table__tbody">
          {group.title && (
            <tr className="pf-v6-c-table__tr any-group-row">
              <th className="pf-v6-c-table__th" colSpan={COLUMNS.length} scope="rowgroup">
                {group.title}
              </th>
            </tr>
          )}
          {group.devices.map((device) => (
            <Row key={nameOf(device)} device={device} standing={standings.get(nameOf(device))} />
          ))}
        </tbody>
      ))}
    </table>
  );
}

function Choice<T extends string>(props: { id: string; label: string; value: T; options: readonly { key: T; label: string }[]; onChange(value: T): void }) {
  return (
    <div>
      <label htmlFor={props.id}>{props.label}</label>
      <FormSelect id={props.id} value={props.value} onChange={(_event, value) => props.onChange(value as T)}>
        {props.options.map((option) => (
          <FormSelectOption key={option.key} value={option.key} label={option.label} />
        ))}
      </FormSelect>
    </div>
  );
}

const ONLY = [
  { key: "all", label: "All devices" },
  { key: "in-use", label: "In use" },
  { key: "changed", label: "Kept for a driver" },
  { key: "drift", label: "Not as a rule declares" },
] as const;

function countText(shown: Page): string {
  if (shown.total === 0) return "No device is like that.";
  return shown.pages === 1 ? devicesText(shown.total) : `${shown.from} to ${shown.to} of ${devicesText(shown.total)}`;
}

export interface View {
  grouping: Grouping;
  filter: Filter;
  page: number;
}
export const FIRST_VIEW: View = { grouping: "slot", filter: { search: "", only: "all" }, page: 0 };

export function DeviceList({ view, setView }: { view: View; setView(view: View): void }) {
  const { bus, devices, standings } = useKnown();
  const { grouping, page } = view;
  const filter = useDeferredValue(view.filter);
  const groups = useMemo(
    () => groupsOf((devices ?? []).filter((device) => matches(device, standings.get(nameOf(device)), filter)), grouping),
    [devices, standings, filter, grouping],
  );
  const shown = useMemo(() => pageOf(groups, page), [groups, page]);
  const at = Math.min(page, shown.pages - 1);
  return (
    <div className="any-stack">
      <div className="any-bar" role="search">
        <div className="any-grow">
          <label htmlFor="search">Search</label>
          <TextInput
            id="search"
            type="search"
            value={view.filter.search}
            placeholder="Address, name, driver, interface, process"
            onChange={(_event, search) => setView({ ...view, page: 0, filter: { ...view.filter, search } })}
          />
        </div>
        <Choice id="bus" label="Bus" value={bus} options={BUSES} onChange={(value) => store.showBus(value)} />
        <Choice id="group-by" label="Group by" value={grouping} options={GROUPINGS} onChange={(value) => setView({ ...view, page: 0, grouping: value })} />
        <Choice id="show" label="Show" value={view.filter.only} options={ONLY} onChange={(only) => setView({ ...view, page: 0, filter: { ...view.filter, only } })} />
      </div>
      <div className="any-bar">
        <span role="status">
          {devices === null ? "Reading the devices …" : countText(shown)}
        </span>
        <Pager page={at} pages={shown.pages} onPage={(to) => setView({ ...view, page: to })} />
      </div>
      {shown.total > 0 && <Table groups={shown.groups} standings={standings} />}
    </div>
  );
}

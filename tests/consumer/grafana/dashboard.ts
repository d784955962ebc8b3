import type { Dashboard, FieldConfigSource, Panel } from "@grafana/schema";
import type { FieldConfig, Options } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** As JSON says it: texts for enums. */
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
/** Grafana lays a panel's options over the defaults of its plugin. */
type Partly<T> = T extends object ? { [K in keyof T]?: Partly<T[K]> } : T;

interface Query {
  refId: string;
  expr: string;
  legendFormat: string;
  datasource: { type: "prometheus"; uid: string };
}

interface TimeSeries extends Omit<Panel, "options" | "fieldConfig" | "targets"> {
  type: "timeseries";
  options: Partly<Options>;
  fieldConfig: FieldConfigSource<Partly<FieldConfig>>;
  targets: Query[];
}

export type Checked = Plain<Omit<Dashboard, "panels"> & { panels: TimeSeries[] }>;

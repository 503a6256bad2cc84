// What the API answers. Made from its document by `cargo xtask ui --bless`. Whole numbers beyond 2^53 are `bigint`.

/** One mapping that differs. */
export interface Change {
  /** As it would be. */
  after?: Mapping | null;
  /** As it is. */
  before?: Mapping | null;
  /** What follows from it. */
  consequences: string[];
  /** Which fields differ. */
  fields: string[];
  /** How it differs. */
  kind: Kind;
  /** Its name. */
  name: string;
}

/** What a replay is to do. */
export interface Control {
  /** Goes to the first record at or after this time, in milliseconds since the Unix epoch. */
  seek?: number | null;
  /** How fast: 1 as recorded, 0 as fast as possible. */
  speed?: Speed | null;
}

/** Texts to check; what is missing is as it is. */
export interface Draft {
  /** The mapping file. */
  mappings?: string | null;
  /** Templates by name. */
  templates?: Record<string, string>;
  /** Value mappings by source topic. */
  topic_mappings?: Record<string, string>;
}

/** From when the times of a file count. */
export type Epoch = "shared" | "file";

/** What happens to the consumer group of the target's service while its topic is replicated. */
export type GroupAction = "delete" | "reset_to_latest";

/** What is known about a service's group. */
export interface GroupInfo {
  /** When it was last deleted or moved, in milliseconds since the Unix epoch. */
  acted_at?: number | null;
  /** Why that did not succeed. */
  error?: string | null;
  /** When it was last looked at, in milliseconds since the Unix epoch. */
  looked_at?: number | null;
  /** How many read with it. */
  members: number;
  /** `missing`, `empty`, `stable` and so on; empty before the first look. */
  state: string;
}

/** One finding. */
export interface Issue {
  /** The field. */
  field?: string | null;
  /** The mapping. */
  mapping?: string | null;
  /** What is wrong and what to do. */
  message: string;
  /** The file, or what else the text is called. */
  origin: string;
  /** Where in it. */
  place?: Place | null;
  /** How bad it is. */
  severity: Severity;
}

/** How a mapping differs. */
export type Kind = "added" | "removed" | "changed";

/** A mapping. Fields that nobody knows are kept. */
export interface Mapping {
  /** Whether it runs. */
  enabled?: boolean;
  /** The category it is shown in. */
  group?: string;
  /** Its name, unique among all. */
  name: string;
  /** What happens to values that are no JSON where they must be. */
  on_decode_error?: OnDecodeError;
  /** Adds a header that names the source, by which copies are known and not copied back. */
  provenance?: boolean;
  /** How a file is replayed. */
  replay?: Replay;
  /** What decides about the share. */
  sample_by?: SampleBy;
  /** The share of the records that is taken, 0 to 100. */
  sample_percent?: number | null;
  /** Whether the source is a file. */
  source_is_file?: boolean;
  /** What is read. */
  source_topic_name?: string | null;
  /** Whether the target is a file. */
  target_is_file?: boolean;
  /** The group to delete on the target. */
  target_service_consumer_group?: string | null;
  /** What happens to that group. */
  target_service_group_action?: GroupAction;
  /** What is written. */
  target_topic_name?: string | null;
  /** Several sources and targets. */
  topics?: Pair[];
  /** Which records are taken: a JMESPath expression. */
  valid_jmespath?: string | null;
  /** Tables of this mapping, instead of those of its source topic. */
  value_mappings?: any;
}

/** A mapping and how it is. */
export interface MappingInfo {
  /** What it says. */
  mapping: Mapping;
  /** Where it stands. */
  origin: Origin;
  /** A row for each source and target. */
  stats: Row[];
}

/** A member of a group. */
export interface MemberDescription {
  /** `client.id`; workers of this library put the address of their HTTP server there. */
  client_id: string;
  /** The address it connects from. */
  host: string;
  /** `group.instance.id` of a static member. */
  instance_id?: string | null;
  /** The name its coordinator gave it. */
  member_id: string;
  /** What it reads now. */
  partitions: PartitionId[];
  /** What it is to read when the rebalance under way is over; told by the newer protocol only. */
  target?: PartitionId[] | null;
}

/** What to do with a value that is no JSON where JSON is needed. */
export type OnDecodeError = "drop" | "pass" | "stop";

/** Where a mapping stands. */
export type Origin = { kind: "file" } | { entry: number, kind: "template", template: string };

/** One source and one target of a mapping. */
export interface Pair {
  /** The topic, or the file, that is read. */
  source: string;
  /** The topic, or the file, that is written. */
  target: string;
}

/** How one source and target was over time. */
export interface PairHistory {
  samples: Sample[];
  source: string;
  target: string;
}

/** A partition of a topic. */
export interface PartitionId {
  /** The partition's number. */
  partition: number;
  /** The topic's name on the broker. */
  topic: string;
}

/** A partition of a source. */
export interface PartitionInfo {
  /** The offset the next record will get. */
  end: number;
  /** The first offset that is kept. */
  first: number;
  /** Records of it that the target has not acknowledged. */
  in_flight: number;
  lag: number;
  partition: number;
  /** The next offset that is not settled. */
  position?: number | null;
  source: string;
  target: string;
  /** Who reads it. */
  worker: number;
}

/** A place in a text; both count from one. */
export interface Place {
  /** The column, in characters. */
  column: number;
  /** The line. */
  line: number;
}

/** How a file is replayed. */
export interface Replay {
  /** From when times count. */
  epoch?: Epoch;
  /** Records before this time (milliseconds since the Unix epoch) are passed over. */
  from?: number | null;
  /** From the beginning again after the last record. */
  loop?: boolean;
  /** Adds the recorded timestamp as header `citizenk-original-timestamp`. */
  original_timestamp?: boolean;
  /** 1: with the recorded gaps; 2: twice as fast; 0: nobody waits. */
  speed?: Speed | null;
  /** Records from this time on are passed over. */
  to?: number | null;
}

/** How far a replay is. */
export interface ReplayInfo {
  /** How late the last record was, in milliseconds. */
  drift_ms: number;
  /** The first recorded time of the file. */
  first?: number | null;
  /** The last one. */
  last?: number | null;
  /** Records of the file. */
  of: number;
  /** Whether it is paused. */
  paused: boolean;
  /** The recorded time that is due now, in milliseconds since the Unix epoch. */
  position: number;
  /** Records so far. */
  records: number;
  /** The file. */
  source: string;
  /** How fast it goes. */
  speed: number;
}

/** One source and target of a mapping. */
export interface Row {
  /** The source's partitions this worker reads. */
  assignments: number[];
  /** Bytes of keys and values read. */
  bytes_in: number;
  /** Bytes of keys and values handed to the target. */
  bytes_out: number;
  /** Whether that group has members. */
  consumer_group_up: boolean;
  /** Records whose value is no JSON where it must be. */
  decode_error_count: number;
  /** Why it waits or fails. */
  detail?: string | null;
  /** Records that `key:partition` dropped, or that came from the target. */
  dropped_count: number;
  /** Whether it is to run. */
  enabled: boolean;
  /** Records the filter had no answer for. */
  error_count: number;
  /** Records that filter or sample left out. */
  filtered_count: number;
  /** Offsets without a record: retention, compaction, marks of transactions. */
  gap_count: number;
  /** The mapping's category. */
  group: string;
  /** How often a record, or a file that cannot be written, began to hold its partition. */
  held_count: number;
  /** Records that wait at the source. */
  lag: number;
  /** When the last record was read, in milliseconds since the Unix epoch. */
  last_message_at?: number | null;
  /** Age of records when they are handled: half are younger. */
  latency_ms_p50: number;
  /** 99 of 100 are younger. */
  latency_ms_p99: number;
  /** Records that retention deleted before they were read. */
  lost_count: number;
  /** The mapping's name. */
  name: string;
  /** Records with a partition the target does not have; they hold their source partition. */
  partition_error_count: number;
  /** How far a file is, from 0 to 1. */
  progress?: number | null;
  /** Records the target has not acknowledged. */
  queue: number;
  /** Records read a second, at the last tick. */
  rate_in: number;
  /** Records acknowledged a second. */
  rate_out: number;
  /** Records read since this worker started. */
  source_count: number;
  /** Whether the source is a file. */
  source_is_file: boolean;
  /** What is read. */
  source_topic_name: string;
  /** `starting`, `running`, `catching_up`, `idle`, `paused`, `waiting`, `error`, `completed` or `disabled`. */
  state: string;
  /** Records the target acknowledged. */
  target_count: number;
  /** Whether the target is a file. */
  target_is_file: boolean;
  /** The group that is deleted on the target. */
  target_service_consumer_group?: string | null;
  /** What is written. */
  target_topic_name: string;
  /** Keys and values that were in none of their tables. */
  unmapped_count: number;
  /** The filter. */
  valid_jmespath?: string | null;
}

/** How a run was at a moment. */
export interface Sample {
  /** Records that could not be handled so far. */
  errors: number;
  /** Records that wait at the source. */
  lag: number;
  /** Half of the batches were younger than this when they were read, in milliseconds. */
  latency_ms_p50: number;
  /** 99 of 100 were. */
  latency_ms_p99: number;
  /** Records read a second, since the sample before. */
  rate_in: number;
  /** Records acknowledged a second. */
  rate_out: number;
  /** Records read so far. */
  source_count: number;
  /** Records acknowledged so far. */
  target_count: number;
  /** Milliseconds since the Unix epoch. */
  time_ms: number;
}

/** What decides about a record. */
export type SampleBy = "key" | "random";

/** The group of the service a mapping writes for, as it was at the last look. */
export interface ServiceGroup {
  /** What is done to it while it has no members. */
  action: GroupAction;
  /** The time between two looks, in milliseconds. */
  every_ms: number;
  /** Its name. */
  group: string;
  /** What is known. */
  known: GroupInfo;
}

/** The service as a whole. */
export interface ServiceInfo {
  /** A colour for it. */
  colour?: string | null;
  /** What its latest change was. */
  comment: string;
  /** What the installation is called. */
  environment?: string | null;
  /** Whether nothing can be changed here. */
  read_only: boolean;
  /** What is wrong with the files as they are, while an older configuration runs. */
  refused: Issue[];
  /** When it was taken, in milliseconds since the Unix epoch. */
  since: number;
  /** The source group; none: read without one. */
  source_group?: string | null;
  /** How often stats are measured. */
  stats_every_ms: number;
  /** The configuration's version. */
  version: string;
  /** What is noteworthy about it. */
  warnings: Issue[];
  /** Which worker this is, of how many. */
  worker: [number, number];
}

/** How bad it is. */
export type Severity = "warning" | "error";

/** How fast time runs; 0: nobody waits. */
export type Speed = number;

/** One worker's stats. */
export interface Stats {
  /** A row for each source and target of each mapping. */
  mappings: Row[];
  /** Records handed to the target that it has not acknowledged. */
  queue: number;
  /** When this worker started (UTC). */
  started: string;
  /** Now (UTC), e.g. `2023-05-25 18:20:43.875557`. */
  time: string;
  /** `time` as RFC 3339. */
  time_iso: string;
  /** `time` in milliseconds since the Unix epoch. */
  time_ms: number;
  /** The version of the configuration it runs. */
  version: string;
  /** Which worker this is. */
  worker: number;
}

/** What would be. */
export interface Verdict {
  /** What would change, and what follows. */
  changes: Change[];
  /** What is wrong or noteworthy. */
  issues: Issue[];
  /** Whether it could be saved. */
  valid: boolean;
}

/** A text that was replaced. */
export interface VersionInfo {
  /** Why it was replaced. */
  comment: string;
  /** Which file. */
  file: string;
  /** Its number: when it was replaced, in milliseconds since the Unix epoch. */
  id: number;
  /** As it was; none: the file was new. */
  text?: string | null;
}

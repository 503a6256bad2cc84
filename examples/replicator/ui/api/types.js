/**
 * What the API answers, as far as the page uses it (see `openapi.json`). Whole numbers beyond 2^53 are `bigint`.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {string} source_topic_name
 * @property {string} target_topic_name
 * @property {string | null} valid_jmespath
 * @property {string | null} target_service_consumer_group
 * @property {boolean} consumer_group_up
 * @property {number[]} assignments
 * @property {number} lag
 * @property {number} source_count
 * @property {number} target_count
 * @property {string} group
 * @property {boolean} enabled
 * @property {string} state
 * @property {string | null} detail
 * @property {boolean} source_is_file
 * @property {boolean} target_is_file
 * @property {number} queue
 * @property {number} filtered_count
 * @property {number} dropped_count
 * @property {number} decode_error_count
 * @property {number} error_count
 * @property {number} partition_error_count
 * @property {number} unmapped_count
 * @property {number} lost_count
 * @property {number} bytes_in
 * @property {number} bytes_out
 * @property {number} rate_in
 * @property {number} rate_out
 * @property {number} latency_ms_p50
 * @property {number} latency_ms_p99
 * @property {number | null} last_message_at
 * @property {number | null} progress
 *
 * @typedef {object} Stats
 * @property {Row[]} mappings
 * @property {number} queue
 * @property {number} time_ms
 * @property {number} worker
 *
 * @typedef {object} Issue
 * @property {"warning" | "error"} severity
 * @property {string} origin
 * @property {{ line: number, column: number }} [place]
 * @property {string} [mapping]
 * @property {string} [field]
 * @property {string} message
 *
 * @typedef {object} ServiceInfo
 * @property {string | null} environment
 * @property {string | null} colour
 * @property {boolean} read_only
 * @property {string | null} source_group
 * @property {string} version
 * @property {string} comment
 * @property {number} since
 * @property {Issue[]} warnings
 * @property {Issue[]} refused
 * @property {[number, number]} worker
 * @property {number} stats_every_ms
 *
 * @typedef {object} Sample
 * @property {number} time_ms
 * @property {number} rate_in
 * @property {number} rate_out
 * @property {number} lag
 * @property {number} latency_ms_p50
 * @property {number} latency_ms_p99
 * @property {number} errors
 *
 * @typedef {{ source: string, target: string, samples: Sample[] }} PairHistory
 *
 * @typedef {object} Partition
 * @property {string} source
 * @property {string} target
 * @property {number} partition
 * @property {number | null} position
 * @property {number} first
 * @property {number} end
 * @property {number} lag
 * @property {number} worker
 *
 * @typedef {object} Change
 * @property {string} name
 * @property {"added" | "removed" | "changed"} kind
 * @property {string[]} [fields]
 * @property {string[]} consequences
 *
 * @typedef {{ valid: boolean, issues: Issue[], changes: Change[] }} Verdict
 */

export {};

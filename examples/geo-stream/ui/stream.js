// Records of a topic, from now on, also over an interruption: a websocket that says where it was, or an event stream,
// with which the browser does that itself.

const AGAIN = 2000;

/** @typedef {{ partition: number, offset: number, key?: string, value?: any, message?: string, at?: string, gap?: object }} Item */

/** The next offset of each partition, as the service writes it: `p0:17,p1:4`. */
export class Places {
  /** @param {string} text */
  constructor(text) {
    this.next = new Map();
    for (const part of text.split(",")) {
      const [partition, offset] = part.slice(1).split(":");
      this.next.set(Number(partition), Number(offset));
    }
  }

  /** @param {Item} item */
  passed({ partition, offset }) {
    this.next.set(partition, offset + 1);
  }

  toString() {
    return [...this.next].map(([partition, offset]) => `p${partition}:${offset}`).join(",");
  }
}

/**
 * @param {string} path
 * @param {(item: Item) => void} take
 * @param {(text: string) => void} say
 */
export function websocket(path, take, say) {
  /** @type {Places | undefined} */
  let places;
  const connect = () => {
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (places) url.searchParams.set("last_event_id", String(places));
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      const item = JSON.parse(data);
      if (item.at !== undefined) {
        places = new Places(item.at);
        say("connected");
      } else if (item.offset !== undefined) {
        places?.passed(item);
      }
      take(item);
    };
    socket.onclose = () => {
      say("disconnected, trying again");
      setTimeout(connect, AGAIN);
    };
  };
  connect();
}

/**
 * @param {string} path
 * @param {(item: Item) => void} take
 * @param {(text: string) => void} say
 */
export function events(path, take, say) {
  const source = new EventSource(new URL(path, location.href));
  source.addEventListener("connected", () => say("connected"));
  source.onmessage = ({ data }) => take(JSON.parse(data));
  source.onerror = () => say("disconnected, trying again");
}

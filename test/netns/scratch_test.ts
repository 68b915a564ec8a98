import { test } from "bun:test";
import { Network } from "../support/namespaces.ts";
import { Daemon } from "../support/daemon.ts";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
test("m", async () => {
  for (let i=0;i<12;i++) {
    using net = new Network(["a"]);
    await using cap = await Capture.start(net);
    await using d = new Daemon(net, "a", instance({state: "MASTER"}));
    await cap.waitForAnnouncements(5);
    if (i%2) { d.signal("SIGHUP"); await d.waitForLog("Reload finished"); }
    const t = nowUs();
    await cap.waitForAdvert(({atUs})=>atUs>t+1e6, 12000);
    console.log(i%2 ? "HUP" : "   ", cap.adverts.map(({atUs}, k)=>((atUs-cap.adverts[0]!.atUs-k*100000)/1000).toFixed(1)).join(" "));
  }
}, 120000);

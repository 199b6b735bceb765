import { test } from "uvu";
import * as assert from "uvu/assert";
import { Dirt } from "../../server/group/dirt.ts";
import { RoomRandom } from "../../server/session/random.ts";

test("[D10] a part is dirty from its first command since the last durable checkpoint", () => {
  const dirt = new Dirt();
  assert.is(dirt.firstIndex, null);
  dirt.touch(5);
  dirt.touch(7);
  assert.is(dirt.firstIndex, 5);
  dirt.saving(7);
  assert.is(dirt.firstIndex, 5, "on its way is not durable");
  dirt.touch(9);
  dirt.saved(7);
  assert.is(dirt.firstIndex, 9);
  dirt.saving(9);
  dirt.saved(9);
  assert.is(dirt.firstIndex, null);
});

test("[D10] the news of an older checkpoint changes nothing once a newer one is under way", () => {
  const dirt = new Dirt();
  dirt.touch(1);
  dirt.saving(1);
  dirt.touch(2);
  dirt.saving(2);
  dirt.saved(1);
  assert.is(dirt.firstIndex, 1);
  dirt.saved(2);
  assert.is(dirt.firstIndex, null);
});

test("[D10] a part that is gone is saved as of the group's last entry, past the machine's last command", () => {
  const dirt = new Dirt();
  dirt.touch(3);
  dirt.saving(3);
  dirt.saved(6);
  assert.is(dirt.firstIndex, null);
});

test("[D10] in every interleaving, nothing since the newest durable checkpoint is forgotten", () => {
  const random = RoomRandom.seeded(Uint8Array.of(9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7));
  for (let round = 0; round < 400; round++) {
    const dirt = new Dirt();
    const touched: number[] = [];
    const underWay: number[] = [];
    let durable = 0;
    for (let index = 1; index <= 40; index++) {
      const roll = random.next();
      if (roll < 0.5) {
        dirt.touch(index);
        touched.push(index);
      } else if (roll < 0.7) {
        dirt.saving(index);
        underWay.push(index);
      } else if (underWay.length > 0) {
        // Batches land in order.
        durable = underWay.shift() as number;
        dirt.saved(durable);
      }
      const first = touched.find((each) => each > durable) ?? null;
      const told = dirt.firstIndex;
      assert.ok(first === null || (told !== null && told <= first), `round ${round}: ${told}, not ${first}`);
      if (underWay.length === 0 && first === null) assert.is(told, null, "clean, and known to be");
    }
  }
});

test.run();

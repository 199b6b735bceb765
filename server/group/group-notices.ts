import type { Group } from "./group.ts";
import type { LeaderChange, MembersNotice } from "./group-status.ts";
import type { Settlements } from "./settlements.ts";

type Listener<Notice> = (notice: Notice) => void;

/** Tells callers outside what became of the groups' leads and members: at the end of a turn, outside of any apply. */
export class GroupNotices {
  readonly #awake: { readonly groups: readonly Group[] };
  readonly #settlements: Settlements;
  readonly #onLead = new Set<Listener<LeaderChange>>();
  readonly #onMembers = new Set<Listener<MembersNotice>>();

  constructor(awake: { readonly groups: readonly Group[] }, settlements: Settlements) {
    this.#awake = awake;
    this.#settlements = settlements;
  }

  /** The result ends it. */
  onLead(listener: Listener<LeaderChange>): () => void {
    this.#onLead.add(listener);
    return () => this.#onLead.delete(listener);
  }

  /** The result ends it. */
  onMembers(listener: Listener<MembersNotice>): () => void {
    this.#onMembers.add(listener);
    return () => this.#onMembers.delete(listener);
  }

  notice(): void {
    for (const group of this.#awake.groups) {
      this.#tell(this.#onLead, group.noticeLead());
      this.#tell(this.#onMembers, group.noticeMembers());
    }
  }

  #tell<Notice>(listeners: ReadonlySet<Listener<Notice>>, notice: Notice | null): void {
    if (notice === null) return;
    for (const listener of listeners) this.#settlements.add(() => listener(notice));
  }
}

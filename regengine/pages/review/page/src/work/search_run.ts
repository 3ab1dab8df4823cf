// "Search from here": the engine's own search from the camera in view, watched and cancellable.

import type { Camera, Job } from "../types";
import { ApiError, api } from "./api";
import { delay, link } from "./link";
import { complain, say, sentenceOf, wait } from "./notices";
import { sentence, VERDICT_WORDS } from "./text";

const POLL_MS = 400;
const LONGEST_WAIT_MS = 4000;

export class SearchRun {
  private job: string | null = null;
  private unwanted = false;

  constructor(
    private readonly found: (frame: number, start: Camera, result: NonNullable<Job["result"]>) => void,
    /** null: none is running. */
    private readonly progress: (sentence: string | null) => void,
  ) {}

  get running(): boolean {
    return this.job !== null;
  }

  async start(frame: number, camera: Camera): Promise<void> {
    if (this.job !== null) return;
    this.job = "";
    this.unwanted = false;
    this.progress("Starting the search …");
    try {
      const { job } = await api.search(frame, camera);
      this.job = job;
      if (this.unwanted) this.cancel();
      await this.watch(frame, camera, job);
    } catch (error) {
      complain(sentenceOf(error));
    }
    this.job = null;
    this.progress(null);
  }

  cancel(): void {
    // The search may have no name yet
    this.unwanted = true;
    if (this.job) wait(api.cancel(this.job));
  }

  private async watch(frame: number, start: Camera, id: string): Promise<void> {
    for (;;) {
      let job: Job;
      try {
        job = await api.job(id);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 404) return complain("The search was lost when the server restarted: start it again.");
        if (!error.passing) throw error;
        await link.wait(LONGEST_WAIT_MS);
        continue;
      }
      if (job.state === "done" && job.result !== null) {
        const { camera, verdict, reason_texts } = job.result;
        this.found(frame, start, job.result);
        const why = camera === null ? reason_texts.map(sentence) : ["The camera it found is shown."];
        return say([`Search result: ${VERDICT_WORDS[verdict]}.`, ...why].join(" "));
      }
      if (job.state === "cancelled") return say("The search was cancelled.");
      if (job.state === "failed" || job.state === "done") return complain(job.message ?? "The search failed.");
      this.progress(`Searching for ${Math.round(job.seconds)} s.`);
      await delay(POLL_MS);
    }
  }
}

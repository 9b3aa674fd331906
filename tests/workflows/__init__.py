"""The shipped workflows, run whole by an independent engine: `act`, in host mode, so without containers.

act decides which jobs and steps run, evaluates the expressions, calls the workflow of a wave, and runs the scripts. The
actions in `stand_ins` run in place of GitHub's, and the strict API of `fake_github` answers in place of GitHub's.
engine.py adds what act lacks:

- a token for each job, with the job's `permissions`, for a fork only to read;
- the secrets of a GitHub Environment, which only jobs of that environment get, also in a matrix;
- the copy that runs is without the keys that act refuses (`UNKNOWN_KEYS`), and a matrix is read only if its job runs;
- the jobs after a called workflow that failed: act ends there, so it is started again for the rest;
- "Re-run all jobs" and "Re-run failed jobs": stand-in jobs with the same conclusion replace jobs that don't run again;
- the jobs of the run as GitHub's API lists them, under the names that GitHub shows, during the run.

What act can't do, and what covers it:

- approvals, wait timers and branch policies of a GitHub Environment, the queue of `concurrency`, delayed and cancelled
  runs: tests/properties/test_github_protocol.py plays them in any order; test_shipped.py reads the keys; here, a
  superseded run is one that GitHub lists and that never runs;
- a job that is cancelled: test_hostile.py and tests/acceptance/test_github_run.py send the runner's signals;
- the filters of `on:` and a job's `timeout-minutes`: the workflows don't depend on them, except for the branches of
  `on: push`, which test_shipped.py reads.
"""

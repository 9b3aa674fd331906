"""The shipped workflows, run whole by an engine that others wrote: `act`, in host mode, so without containers.

act decides which jobs and steps run, evaluates the expressions, and runs the scripts. The actions in `stand_ins` run
in place of GitHub's own, and the strict API of `fake_github` answers in place of GitHub's. engine.py adds what act has
not:

- a token for each job, which may do what the job's `permissions` say, and for a fork only read;
- the secrets of a GitHub Environment, which only the jobs of that environment get;
- the copy that runs is without the keys that act refuses (`UNKNOWN_KEYS`), and a matrix is read only if its job runs.

What act can't do, and what covers it:

- approvals, wait timers and branch policies of a GitHub Environment: a job that was refused leaves nothing, which
  tests/unit/core/test_workflow.py and tests/unit/cli/test_github.py tell from the folders that the others left;
- the queue of `concurrency`, and a superseded run: test_shipped.py reads the keys, and test_story.py runs a merge late;
- cancelling: test_hostile.py sends the runner's signals to the action's script;
- the filters of `on:`, schedules, re-runs, a job's `timeout-minutes`: nothing in the workflows decides by them, but the
  branches of `on: push`, which test_shipped.py reads.
"""

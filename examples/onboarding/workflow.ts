/** The graph and its contracts: thirty days of mail, which a user may leave or speed up. */
import { z } from 'zod';
import { signal, task, workflow } from '../../src/index.ts';
import type { Build, Ref } from '../../src/index.ts';

/** The user has done what the tips are about: from now on they get the tips for experts. */
export const activated = signal('activated', z.object({ at: z.date() }));

/** The user wants no more mail. */
export const cancelled = signal('cancelled', z.object({}));

/** Handing `ctx.idempotencyKey` to the mail service makes a second attempt harmless. */
export const sendMail = task({
  name: 'send-mail',
  input: z.object({ to: z.string(), mail: z.string() }),
  output: z.object({ messageId: z.string() }),
  timeout: '30s',
  retry: { maxAttempts: 5, initial: '10s', maxDelay: '10m' },
});

export const TIP_DAYS = [1, 3, 7, 14, 30] as const;

const DAY_MS = 86_400_000;

const User = z.object({ id: z.string(), email: z.string(), signedUpAt: z.date() });

export const onboarding = workflow({ name: 'onboarding', input: User }, (w, user) => {
  const welcome = w.run(sendMail, { to: user.email, mail: 'welcome' }, { id: 'welcome' });
  const days = w.run('calendar', { from: user.signedUpAt }, ({ from }) => TIP_DAYS.map((day) => new Date(from.getTime() + day * DAY_MS)));

  const basics = TIP_DAYS.map((day, i) => tipAt(w, { day: `basics-${day}`, at: days[i] as Ref<Date>, to: user.email }));
  // `all_done`: a mail that could not be sent makes the run a failed one, but the race goes on and has an end.
  const read = w.run('basics-sent', {}, () => 'basics', { after: [welcome, ...basics], join: 'all_done' });
  // Whoever is activated gets none of the basics that are still to come: they are superseded.
  const track = w.first({ basics: read, activated: w.wait(activated, { id: 'activated', key: user.id }) }, { id: 'track' });

  const tips = w.switch(
    track,
    {
      basics: [({ winner }) => winner === 'basics', () => 'basics'],
      experts: [
        ({ winner }) => winner === 'activated',
        () => {
          // By `track.value`: whoever reads the wait itself would keep it open when it has lost.
          const experts = TIP_DAYS.map((day, i) =>
            w.when(
              { track, at: days[i] as Ref<Date> },
              ({ track, at }) => track.winner === 'activated' && at > track.value.at,
              () => tipAt(w, { day: `experts-${day}`, at: days[i] as Ref<Date>, to: user.email }),
              { id: `is-day-${day}-ahead` },
            ),
          );
          return w.run('experts-sent', {}, () => 'experts', { after: experts, join: 'all_done' });
        },
      ],
    },
    { id: 'tips' },
  );

  // Everything that is still to come is superseded when the user cancels.
  const end = w.first({ sent: tips, cancelled: w.wait(cancelled, { id: 'cancelled', key: user.id }) }, { id: 'end' });
  return { end: end.winner };
});

function tipAt(w: Build, tip: { readonly day: string; readonly at: Ref<Date>; readonly to: Ref<string> }): Ref<{ messageId: string }> {
  const morning = w.sleep(tip.at, { id: `until-${tip.day}` });
  return w.run(sendMail, { to: tip.to, mail: tip.day }, { id: tip.day, after: [morning] });
}

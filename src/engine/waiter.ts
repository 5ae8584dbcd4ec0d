/** A flag to wait for: woken before the wait, it does not wait. */
export class Waiter {
  private isWoken = false;
  private resolve: (() => void) | null = null;

  arm(): void {
    this.isWoken = false;
  }

  wake(): void {
    this.isWoken = true;
    this.resolve?.();
  }

  async wait(): Promise<void> {
    if (this.isWoken) return;
    await new Promise<void>((resolve) => {
      this.resolve = resolve;
    });
    this.resolve = null;
  }
}

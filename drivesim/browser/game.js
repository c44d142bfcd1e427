const HUMAN_PACE = 2.5,
  WATCHING_PACE = 5; // ticks per second, as in the window
const COUNTS = 3,
  COUNT_SECONDS = 0.55;

/** The drive on the stage and whoever it is raced against, in time. */
class Game {
  /**
   * @param kernels the compiled kernels.
   * @param stage to show it on.
   * @param show called whenever something else than the picture has changed.
   */
  constructor(kernels, stage, show) {
    this.kernels = kernels;
    this.stage = stage;
    this.show = show;
    this.speed = 1;
    this.isPlaying = false;
    this.frames = 0;
  }

  /** Begin a drive on a level, and that of a rival, if there is one. */
  begin(environment, seed, driver, rival = null) {
    this.close();
    const make = (who) => new Drive(new Engine(this.kernels, environment, who.observation), seed, who, this.hasXray);
    this.drive = make(driver);
    this.rival = rival && make(rival);
    this.environment = environment;
    this.stage.lay(readMap(this.drive.engine.map), this.drive.world.egos[0].goal);
    this.share = 1;
    this.count = 0;
    this.pause();
    this.look();
  }

  /** Let trained drivers tell, or not, which cells matter to them. */
  setXray(hasXray) {
    this.hasXray = hasXray;
    for (const drive of [this.drive, this.rival]) {
      if (!drive) continue;
      drive.hasXray = hasXray;
      drive.think();
    }
    this.draw(this.share);
    this.show();
  }

  close() {
    this.drive?.engine.close();
    this.rival?.engine.close();
    this.drive = this.rival = null;
  }

  get isHuman() {
    return this.drive.driver instanceof Human;
  }

  get isOver() {
    return this.drive.isOver && (!this.rival || this.rival.isOver || this.isHuman);
  }

  /** Begin to play: at the start of a drive a person gets a countdown. */
  play() {
    if (this.isPlaying || this.isOver) return;
    this.isPlaying = true;
    this.count = this.isHuman && this.drive.ticks === 0 ? COUNTS : 0;
    this.lastTime = null;
    this.show();
    requestAnimationFrame((time) => this.advance(time));
  }

  pause() {
    this.isPlaying = false;
    this.count = 0;
  }

  /** One frame while it plays. */
  advance(time) {
    if (!this.isPlaying) return;
    const seconds = this.lastTime === null ? 0 : Math.min(Math.max(time - this.lastTime, 0), 250) / 1000;
    this.lastTime = time;
    this.frames += 1;
    if (this.count > 0) this.countDown(seconds);
    else this.pass(seconds);
    if (this.isPlaying) requestAnimationFrame((next) => this.advance(next));
  }

  countDown(seconds) {
    const before = Math.ceil(this.count);
    this.count = Math.max(0, this.count - seconds / COUNT_SECONDS);
    if (Math.ceil(this.count) !== before) this.show();
  }

  /** Let time pass: the tick that is shown goes on, and with its end the next one is made. */
  pass(seconds) {
    this.share = Math.min(1, this.share + seconds * this.speed * (this.isHuman ? HUMAN_PACE : WATCHING_PACE));
    if (this.share >= 1 && !this.tick()) {
      this.look();
      return;
    }
    this.draw(this.share);
  }

  /** Make a tick; false where the drive is over, or waits for a key. */
  tick() {
    const moved = this.drive.step();
    if (!moved && !this.drive.isOver) return false;
    const follows = this.rival?.step() ?? false;
    if (!moved) this.drive.before = null; // it stands still
    if (this.rival && !follows) this.rival.before = null;
    if (!moved && !follows) {
      this.isPlaying = false;
      this.show();
      return false;
    }
    this.share = 0;
    this.prepare();
    this.show();
    return true;
  }

  /** One tick at once, for who looks closely. */
  stepOnce() {
    this.pause();
    if (
      !this.drive.isOver &&
      this.drive.driver instanceof Human &&
      !this.drive.driver.waits &&
      !this.drive.driver.wishes.length
    ) {
      this.drive.driver.wish("IDLE");
    }
    this.tick();
    this.look();
  }

  /** The scenes of the tick that is shown. */
  prepare() {
    const { drive, rival, stage } = this,
      scene = stage.scene(drive.world, drive.before);
    const ghosts = rival ? stage.scene(rival.world, rival.before).pieces.slice(-1) : [];
    const isApart = ghosts.length && !rival.isOver;
    this.focus = scene.focus;
    this.pieces = [...(isApart ? stage.pieces({ pieces: ghosts }, GHOST_OPACITY) : []), ...stage.pieces(scene)];
  }

  /** Show the world as it is. */
  look() {
    this.share = 1;
    this.prepare();
    this.draw(1);
    this.show();
  }

  draw(share) {
    if (!this.stage.box) return; // not laid out yet
    this.stage.picture.drawScene(
      this.pieces,
      this.focus,
      STILL.matches ? 1 : share,
      this.hasXray ? (this.drive.decision ?? this.rival?.decision) : null,
    );
  }
}

const STILL = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)") ?? { matches: false };

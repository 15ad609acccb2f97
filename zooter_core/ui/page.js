// What Streamlit cannot do, on every page. It has no less-than sign, at which Streamlit's sanitizer would drop it.
(() => {
  const box = () => document.querySelector('[data-testid="stChatInputTextArea"]')
  const typing = () => document.activeElement.matches('input, textarea, select, [contenteditable="true"]')

  // Focus on Chat: on the composer at the start and after an answer, and on a query while it is edited. Not on a phone,
  // where it would open the keyboard. Where the composer is hidden, a step of the story begins at its top.
  const focus = left => {
    const field = document.querySelector('[class*="st-key-edited-"] textarea')
    if (field) return show(field, 50)
    if (document.querySelector('[data-state^="edited "]')) return left && setTimeout(focus, 100, left - 1)
    return compose(left)
  }
  const compose = left => {
    const field = box()
    if (field && !field.offsetParent) return document.querySelector('.stMain').scrollTo(0, 0)
    if (!matchMedia('(hover: hover)').matches) return
    if (field && !field.disabled) return typing() || field.focus({ preventScroll: true })
    if (left) setTimeout(focus, 100, left - 1)
  }

  // Scrolling: to the end when a query is sent from further up. Streamlit follows a page that grows, so a query that is
  // edited, the strip above opened reasons, a model that is tried, and an exam that shrinks as it begins again are held
  // in sight for five seconds, or until the visitor goes on.
  const show = (field, left) => {
    if (!field.isConnected) return compose(left)
    if (left === 50) field.focus()
    field.scrollIntoView({ block: 'nearest' })
    if (left) window.zooterHeld = setTimeout(show, 100, field, left - 1)
  }
  const reveal = left => { // a training's progress, then its result, which is drawn below the button
    const result = document.querySelector('.st-key-training')
    result?.scrollIntoView({ block: 'nearest' })
    const ended = result?.querySelector('h2, [data-testid="stAlert"]')
    if (left) window.zooterHeld = setTimeout(reveal, 100, ended ? left - 1 : left)
  }
  const follow = left => {
    const main = document.querySelector('.stMain')
    main.scrollTo(0, main.scrollHeight)
    if (left) window.zooterHeld = setTimeout(follow, 100, left - 1)
  }
  if (document.querySelector('[data-state]')) focus(100)
  if (document.querySelector('[data-state^="sent "]')) follow(10)

  // The rest is set up once.
  if (window.zooterSlash) return
  window.zooterSlash = true

  // History: what a page writes into its address without a press of the visitor, such as the id of what it shows when
  // they come back to it, replaces the entry that the last press has made. One step back then undoes one press.
  const push = history.pushState.bind(history)
  let pressed = false
  const press = () => { pressed = true }
  ['click', 'keydown'].forEach(kind => document.addEventListener(kind, press, true))
  history.pushState = (...entry) => {
    if (pressed) push(...entry)
    else history.replaceState(...entry)
    pressed = false
  }

  // Keys: `/` leads to the composer, `?` shows the shortcuts. In the list of conversations, Tab stops once for each and
  // the arrows lead to its buttons. Enter that ends a word of Japanese or Chinese sends nothing: Safari says only by the
  // code 229 that the key belongs to the word.
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.keyCode === 229) return event.stopPropagation()
    const entry = document.activeElement.closest('[class*="st-key-entry-"]')
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (entry && step) {
      const buttons = [...entry.querySelectorAll('button')].filter(button => button.offsetParent)
      return buttons[buttons.indexOf(document.activeElement) + step]?.focus()
    }
    if (event.ctrlKey || event.metaKey || typing() || !box()) return
    if (event.key === '?') return document.querySelector('.st-key-shortcuts button')?.click()
    if (event.key !== '/') return
    event.preventDefault()
    box().focus()
  }, true)

  // What a button opens in front of the page gets the focus if the keyboard opened it, and has it until the next key,
  // also where it is drawn again; Streamlit puts it behind all else that Tab reaches.
  let entering = 0
  const enter = left => {
    const body = document.querySelector('[data-testid="stPopoverBody"]')
    const first = body?.querySelector('input, textarea, [data-testid="stCode"], button:not([aria-label^="Help"])')
    first?.focus()
    if (left) entering = setTimeout(enter, 50, left - 1)
  }
  const release = event => {
    clearTimeout(entering)
    if (!event.key || !typing()) clearTimeout(window.zooterHeld)
  }
  const hands = ['wheel', 'touchmove', 'pointerdown', 'keydown']
  hands.forEach(kind => document.addEventListener(kind, release, { capture: true, passive: true }))
  document.addEventListener('click', event => {
    const opens = event.target.closest('[data-testid="stPopoverButton"][aria-expanded="false"]')
    if (opens && event.detail === 0) enter(100)
    const exam = event.target.closest('.st-key-exam [data-testid="stButton"]')?.closest('.st-key-exam')
    const tried = event.target.closest('[class*="st-key-try-"] button')?.closest('[class*="st-key-model-"]')
    const held = exam || tried || event.target.closest('[class*="st-key-strip-"]')
    if (held) show(held, 50)
    if (event.target.closest(':is(.st-key-primary-train, .st-key-train-again) button')) reveal(20)
    // On a phone, the list of conversations covers the page: it closes once one is chosen.
    const chosen = event.target.closest('.st-key-new button, [class*="st-key-open-"] button')
    if (!chosen || !matchMedia('(max-width: 768px)').matches) return
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  }, true)

  // A file dropped beside the field for files counts as dropped on it: Streamlit would swallow it there.
  const files = event => event.dataTransfer?.types.includes('Files') && document.querySelector('input[type="file"]')
  document.addEventListener('dragover', event => { if (files(event)) event.preventDefault() })
  document.addEventListener('drop', event => {
    const field = files(event)
    if (!field || event.target.closest(':has(> input[type="file"])')) return
    event.preventDefault()
    field.files = event.dataTransfer.files
    field.dispatchEvent(new Event('change', { bubbles: true }))
  })

  const voice = document.body.appendChild(document.createElement('p'))
  voice.className = 'zooter-voice'
  voice.setAttribute('role', 'status')
  let grows = false
  setInterval(() => {
    // Screen readers: an answer is read aloud once it has ended; of a comparison, its heads: names in their order.
    const idle = document.querySelector('[data-test-script-state="notRunning"]')
    const heads = [...document.querySelectorAll('[class*="st-key-card-"] h2')].map(head => head.innerText)
    const texts = document.querySelectorAll('.stChatMessage :is([class*="st-key-ltr-"], [class*="st-key-rtl-"])')
    const words = heads.join(', ') || [...texts].at(-1)?.innerText
    if (document.querySelector('.st-key-stop')) grows = true
    else if (grows && idle && words) {
      voice.textContent = words
      grows = false
    }
    const more = '[class*="st-key-entry-"] :is([class*="st-key-pin-"], [class*="st-key-delete-"]) button'
    const hidden = '[class*="st-key-copy-"] div[tabindex="0"]'
    document.querySelectorAll(more + ', ' + hidden).forEach(part => { part.tabIndex = -1 })
    // Files in the composer are sent at once, so that the page shows their sizes; their query goes later.
    const chip = '[data-testid="stChatInput"] [data-testid="stFileChip"]'
    if (!document.querySelector(chip) || document.querySelector(chip + '[aria-invalid="true"]')) return
    document.querySelector('[data-testid="stChatInputSubmitButton"]:enabled')?.click()
  }, 100)
})()

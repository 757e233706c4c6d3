"""The equations behind functions, as the reference shows them below a docstring, which says where they come from."""

FORMULAS: dict[str, str] = {
    "ddpm_core.schedule.cosine_beta_schedule": r"\bar\alpha_t = \frac{f(t)}{f(0)}, \\ "
    r"f(t) = \cos^2\!\left(\frac{t/T + s}{1 + s} \cdot \frac{\pi}{2}\right)",
    "ddpm_core.schedule.DiffusionSchedule.q_sample": (
        r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon"
    ),
    "ddpm_core.schedule.DiffusionSchedule.snr": r"\mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    "ddpm_core.guidance.extrapolate": r"\epsilon = \epsilon_u + w\,(\epsilon_c - \epsilon_u)",
    "ddpm_core.guidance.rescaled": r"\epsilon' = \phi\,\frac{\sigma(\epsilon_c)}{\sigma(\epsilon)}\,\epsilon"
    r" + (1 - \phi)\,\epsilon",
    "ddpm_core.samplers.solvers.ddim": r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}"
    r"\,\epsilon + \sigma z, \\ \sigma = \eta\,\sqrt{\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}}"
    r"\,\sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}",
    "ddpm_core.flow.interpolate_path": r"x_t = (1 - t)\,x_0 + t\,\epsilon",
    "ddpm_core.flow.velocity_target": r"v = \frac{\mathrm d x_t}{\mathrm d t} = \epsilon - x_0",
    "ddpm_core.flow.velocity_to_x0": r"\hat x_0 = x_t - t\,v",
    "ddpm_core.flow.euler_step": r"x_s = x_t + (s - t)\,v(x_t, t)",
    "ddpm_core.flow.heun_step": r"x_s = x_t + \frac{s - t}{2}\,\bigl(v(x_t, t) + v(\tilde x_s, s)\bigr), \\ "
    r"\tilde x_s = x_t + (s - t)\,v(x_t, t)",
    "ddpm_core.edm.karras_sigmas": r"\sigma_i = \left(\sigma_{\max}^{1/\rho} + \frac{i}{n - 1}"
    r"\left(\sigma_{\min}^{1/\rho} - \sigma_{\max}^{1/\rho}\right)\right)^{\rho}",
    "ddpm_core.edm.preconditioned": r"D(x; \sigma) = c_\text{skip}\,x + "
    r"c_\text{out}\,F(c_\text{in}\,x;\, c_\text{noise})",
    "ddpm_core.edm.sigma_field": r"\frac{\mathrm d x}{\mathrm d \sigma} = \frac{x - D(x; \sigma)}{\sigma}",
    "ddpm_core.editing.inpaint_step": r"x_t' = m\,\bigl(\sqrt{\bar\alpha}\,x_0 + \sqrt{1 - \bar\alpha}\,\epsilon\bigr)"
    r" + (1 - m)\,x_t",
    "ddpm_core.metrics.distances.frechet_distance": r"\lVert \mu_a - \mu_b \rVert^2 + \operatorname{tr}\bigl(A + B - "
    r"2\,(A^{1/2} B A^{1/2})^{1/2}\bigr)",
    "ddpm_core.ema.EMA.update": r"\bar\theta \leftarrow d_k\,\bar\theta + (1 - d_k)\,\theta, \\ "
    r"d_k = \min\left(d, \frac{1 + k}{10 + k}\right)",
    "ddpm_core.attention.CrossAttention": r"\operatorname{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V",
}
